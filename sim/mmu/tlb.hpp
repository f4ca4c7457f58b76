// The software TLB: linear page -> host pointer, one compare per access.
#pragma once

#include "sim/memory/memory.hpp"

namespace vtlsim::sim {

// A tag is the linear page address with the translation context (address space, CPL class, SMAP
// override) in its low 12 bits; kNoTag can be no such value because its context is never used.
struct TlbEntry {
    static constexpr u64 kNoTag = ~u64{0};
    u64 read_tag = kNoTag;
    u64 write_tag = kNoTag;  // kNoTag while the page is shared, watched or holds cached code
    u64 execute_tag = kNoTag;
    u64 page_number = 0;  // physical
    u8* host = nullptr;   // only read through unless write_tag matches
};

struct Tlb {
    static constexpr std::size_t kEntries = 512;
    std::array<TlbEntry, kEntries> entries{};

    TlbEntry& slot(u64 linear) { return entries[(linear >> kPageShift) % kEntries]; }
    void flush() { entries.fill(TlbEntry{}); }
    void flush_writes() {
        for (TlbEntry& e : entries) e.write_tag = TlbEntry::kNoTag;
    }
    void forget_page(u64 page_number) {
        for (TlbEntry& e : entries) {
            if (e.page_number == page_number) e = TlbEntry{};
        }
    }
    void forget_writes(u64 page_number) {
        for (TlbEntry& e : entries) {
            if (e.page_number == page_number) e.write_tag = TlbEntry::kNoTag;
        }
    }
};

}  // namespace vtlsim::sim
