// The software TLB: linear page -> host pointer for data, physical page for code; one compare per
// access. What was never filled costs nothing to flush or to search.
#pragma once

#include "sim/memory/memory.hpp"

namespace vtlsim::sim {

// A tag is the linear page address with the translation context (address space, CPL class, SMAP
// override, and a bit that is always set) in its low 12 bits.
inline constexpr u64 kNoTag = 0;
inline constexpr u64 kTagged = 0x800;

struct TlbEntry {
    u64 read_tag = kNoTag;
    u64 write_tag = kNoTag;  // kNoTag while the page is shared, watched or holds cached code
    u64 page_number = 0;     // physical
    u8* host = nullptr;      // only read through unless write_tag matches; null: never filled
};

struct CodeTlbEntry {
    u64 tag = kNoTag;
    u64 page_number = 0;
};

class Tlb {
  public:
    static constexpr std::size_t kEntries = 512;
    static constexpr std::size_t kCodeEntries = 64;

    const TlbEntry& slot(u64 linear) const { return entries_[index(linear)]; }
    // The entry of a page, about that page alone.
    TlbEntry& claim(u64 linear, u64 tag, u64 page_number, u8* host) {
        TlbEntry& e = entries_[index(linear)];
        if (e.host == nullptr) used_[used_count_++] = static_cast<u16>(index(linear));
        if (e.page_number != page_number || (e.read_tag != tag && e.write_tag != tag)) {
            e = TlbEntry{};
        }
        e.page_number = page_number;
        e.host = host;
        return e;
    }

    const CodeTlbEntry& code_slot(u64 linear) const { return code_[code_index(linear)]; }
    void set_code(u64 linear, u64 tag, u64 page_number) {
        code_[code_index(linear)] = {tag, page_number};
        any_code_ = true;
    }

    void flush() {
        for (std::size_t i = 0; i < used_count_; ++i) entries_[used_[i]] = TlbEntry{};
        used_count_ = 0;
        if (any_code_) code_.fill(CodeTlbEntry{});
        any_code_ = false;
    }
    void flush_writes() {
        for (std::size_t i = 0; i < used_count_; ++i) entries_[used_[i]].write_tag = kNoTag;
    }
    // For a page whose bytes are elsewhere from now on; its code is where it was.
    void forget_page(u64 page_number) {
        for (std::size_t i = 0; i < used_count_; ++i) {
            TlbEntry& e = entries_[used_[i]];
            if (e.page_number == page_number) e.read_tag = e.write_tag = kNoTag;
        }
    }
    void forget_writes(u64 page_number) {
        for (std::size_t i = 0; i < used_count_; ++i) {
            TlbEntry& e = entries_[used_[i]];
            if (e.page_number == page_number) e.write_tag = kNoTag;
        }
    }

  private:
    static std::size_t index(u64 linear) { return (linear >> kPageShift) % kEntries; }
    static std::size_t code_index(u64 linear) { return (linear >> kPageShift) % kCodeEntries; }

    std::array<TlbEntry, kEntries> entries_{};
    std::array<CodeTlbEntry, kCodeEntries> code_{};
    std::array<u16, kEntries> used_{};  // indices of the entries that have been filled
    std::size_t used_count_ = 0;
    bool any_code_ = false;
};

}  // namespace vtlsim::sim
