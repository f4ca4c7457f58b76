// Physical memory as a value: 4 KiB pages in a radix tree, shared copy-on-write. Copying a Memory
// (a snapshot) costs one reference count; the first write to a page afterwards copies that page
// and the few tree nodes above it.
#pragma once

#include <functional>
#include <span>
#include <utility>

#include "sim/memory/reference_count.hpp"
#include "sim/types.hpp"

namespace vtlsim::sim {

inline constexpr unsigned kPageShift = 12;
inline constexpr u64 kPageSize = u64{1} << kPageShift;
inline constexpr u64 kPageMask = kPageSize - 1;
// Highest physical address width of the architecture (SDM 3A 4.1.4).
inline constexpr unsigned kPhysicalBits = 52;

class Memory {
  public:
    // `max_pages`: how many pages may come into being before page_for_write refuses (returns
    // null). Pages never written do not count and read as zero.
    explicit Memory(u64 max_pages = u64{1} << 20) : max_pages_(max_pages) {}
    Memory(const Memory& other);
    Memory(Memory&& other) noexcept;
    Memory& operator=(Memory other) noexcept;
    ~Memory();

    // The page's bytes; a shared page of zeros where nothing was written. Never null. Valid until
    // the next page_for_write of the same page number, or the end of this Memory.
    const u8* page_for_read(u64 page_number) const;
    // The page's bytes, unshared: null when the page budget is used up.
    u8* page_for_write(u64 page_number);

    // Byte ranges; they may cross pages and wrap at 2^52. write() answers false, and has written
    // a part, when the page budget is used up.
    void read(u64 address, std::span<u8> out) const;
    [[nodiscard]] bool write(u64 address, std::span<const u8> bytes);

    u64 pages() const { return pages_; }
    u64 max_pages() const { return max_pages_; }

    // Calls visit(page number, bytes) for every page that exists, in ascending order.
    void for_each_page(const std::function<void(u64, const u8*)>& visit) const;
    // Calls visit(page number, bytes there, bytes here) for every page with a difference from
    // `before`, in ascending order. What the two share costs nothing.
    using VisitDifference = std::function<void(u64, const u8*, const u8*)>;
    void for_each_difference(const Memory& before, const VisitDifference& visit) const;

  private:
    static constexpr unsigned kFanoutBits = 4;  // small: a copied node counts all its children
    static constexpr std::size_t kFanout = std::size_t{1} << kFanoutBits;
    struct Page {
        Page() : bytes{} {}
        explicit Page(const std::array<u8, kPageSize>& from) : bytes(from) {}
        static void* operator new(std::size_t size);
        static void operator delete(void* page);
        ReferenceCount references;
        alignas(16) std::array<u8, kPageSize> bytes;
    };
    struct Node {
        ReferenceCount references;
        std::array<void*, kFanout> child{};  // Node, or Page at height 1; null = all zero
    };

    static void release(Node* node, unsigned height);
    static Node* unshare(Node* node, unsigned height);
    static void visit(const Node* node, unsigned height, u64 prefix,
                      const std::function<void(u64, const u8*)>& fn);
    static void compare(const void* before, unsigned before_height, const void* after,
                        unsigned after_height, u64 prefix, const VisitDifference& fn);
    bool covers(u64 page_number) const;

    Node* root_ = nullptr;
    unsigned height_ = 0;  // 0 = empty; a tree of height h holds page numbers below 16^h
    u64 pages_ = 0;
    u64 max_pages_;
};

}  // namespace vtlsim::sim
