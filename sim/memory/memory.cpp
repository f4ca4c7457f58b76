#include "sim/memory/memory.hpp"

#include <algorithm>
#include <cstring>

namespace vtlsim::sim {
namespace {

alignas(64) constexpr std::array<u8, kPageSize> kZeroPage{};
// AddressSanitizer is to see every use of a freed page.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kMostSpare = 0;
#elif defined(__has_feature)
constexpr std::size_t kMostSpare = __has_feature(address_sanitizer) ? 0 : 64;
#else
constexpr std::size_t kMostSpare = 64;
#endif
// Freed pages that a thread keeps for its next ones: malloc() takes longer than clearing a page.
struct Spare {
    enum class Phase : u8 { unused, in_use, over } phase;
    std::size_t count;
    std::array<void*, 64> pages;
};
constinit thread_local Spare spare{};

// At the end of the thread, which pages may outlive.
struct SpareEnd {
    ~SpareEnd() {
        spare.phase = Spare::Phase::over;
        while (spare.count != 0) ::operator delete(spare.pages[--spare.count]);
    }
};

constexpr u64 kPageNumberMask = (u64{1} << (kPhysicalBits - kPageShift)) - 1;

}  // namespace

void* Memory::Page::operator new(std::size_t size) {
    return spare.count != 0 ? spare.pages[--spare.count] : ::operator new(size);
}

void Memory::Page::operator delete(void* page) {
    if (spare.phase == Spare::Phase::unused) {
        static thread_local SpareEnd end;
        spare.phase = Spare::Phase::in_use;
    }
    if (spare.phase == Spare::Phase::over || spare.count == kMostSpare) {
        ::operator delete(page);
    } else {
        spare.pages[spare.count++] = page;
    }
}

Memory::Memory(const Memory& other)
    : root_(other.root_),
      height_(other.height_),
      pages_(other.pages_),
      max_pages_(other.max_pages_) {
    if (root_ != nullptr) root_->references.add();
}

Memory::Memory(Memory&& other) noexcept
    : root_(std::exchange(other.root_, nullptr)),
      height_(std::exchange(other.height_, 0)),
      pages_(std::exchange(other.pages_, 0)),
      max_pages_(other.max_pages_) {}

Memory& Memory::operator=(Memory other) noexcept {
    std::swap(root_, other.root_);
    std::swap(height_, other.height_);
    std::swap(pages_, other.pages_);
    std::swap(max_pages_, other.max_pages_);
    return *this;
}

Memory::~Memory() {
    if (root_ != nullptr) release(root_, height_);
}

void Memory::release(Node* node, unsigned height) {
    if (!node->references.drop()) return;
    for (void* child : node->child) {
        if (child == nullptr) continue;
        if (height > 1) {
            release(static_cast<Node*>(child), height - 1);
        } else {
            auto* page = static_cast<Page*>(child);
            if (page->references.drop()) delete page;
        }
    }
    delete node;
}

// A node that only this tree refers to: the node itself, or a copy that shares its children.
Memory::Node* Memory::unshare(Node* node, unsigned height) {
    if (!node->references.shared()) return node;
    auto* copy = new Node;
    copy->child = node->child;
    for (void* child : copy->child) {
        if (child == nullptr) continue;
        if (height > 1) {
            static_cast<Node*>(child)->references.add();
        } else {
            static_cast<Page*>(child)->references.add();
        }
    }
    release(node, height);
    return copy;
}

bool Memory::covers(u64 page_number) const {
    return height_ != 0 && (page_number >> (kFanoutBits * height_)) == 0;
}

const u8* Memory::page_for_read(u64 page_number) const {
    page_number &= kPageNumberMask;
    if (!covers(page_number)) return kZeroPage.data();
    const void* at = root_;
    for (unsigned h = height_; h > 0 && at != nullptr; --h) {
        at = static_cast<const Node*>(at)
                 ->child[page_number >> (kFanoutBits * (h - 1)) & (kFanout - 1)];
    }
    return at == nullptr ? kZeroPage.data() : static_cast<const Page*>(at)->bytes.data();
}

u8* Memory::page_for_write(u64 page_number) {
    page_number &= kPageNumberMask;
    while (!covers(page_number)) {
        auto* grown = new Node;
        grown->child[0] = root_;
        root_ = grown;
        ++height_;
    }
    root_ = unshare(root_, height_);
    Node* node = root_;
    for (unsigned h = height_; h > 1; --h) {
        void*& slot = node->child[page_number >> (kFanoutBits * (h - 1)) & (kFanout - 1)];
        slot = slot == nullptr ? new Node : unshare(static_cast<Node*>(slot), h - 1);
        node = static_cast<Node*>(slot);
    }
    void*& slot = node->child[page_number & (kFanout - 1)];
    if (slot == nullptr) {
        if (pages_ >= max_pages_) return nullptr;
        ++pages_;
        slot = new Page;
    } else if (auto* page = static_cast<Page*>(slot); page->references.shared()) {
        slot = new Page(page->bytes);
        if (page->references.drop()) delete page;
    }
    return static_cast<Page*>(slot)->bytes.data();
}

void Memory::read(u64 address, std::span<u8> out) const {
    while (!out.empty()) {
        const u64 in_page = address & kPageMask;
        const std::size_t n = std::min<std::size_t>(out.size(), kPageSize - in_page);
        std::memcpy(out.data(), page_for_read(address >> kPageShift) + in_page, n);
        out = out.subspan(n);
        address += n;
    }
}

bool Memory::write(u64 address, std::span<const u8> bytes) {
    while (!bytes.empty()) {
        const u64 in_page = address & kPageMask;
        const std::size_t n = std::min<std::size_t>(bytes.size(), kPageSize - in_page);
        u8* page = page_for_write(address >> kPageShift);
        if (page == nullptr) return false;
        std::memcpy(page + in_page, bytes.data(), n);
        bytes = bytes.subspan(n);
        address += n;
    }
    return true;
}

void Memory::visit(const Node* node, unsigned height, u64 prefix,
                   const std::function<void(u64, const u8*)>& fn) {
    for (std::size_t i = 0; i < kFanout; ++i) {
        const void* child = node->child[i];
        if (child == nullptr) continue;
        const u64 number = prefix << kFanoutBits | i;
        if (height > 1) {
            visit(static_cast<const Node*>(child), height - 1, number, fn);
        } else {
            fn(number, static_cast<const Page*>(child)->bytes.data());
        }
    }
}

void Memory::for_each_page(const std::function<void(u64, const u8*)>& fn) const {
    if (root_ != nullptr) visit(root_, height_, 0, fn);
}

// A tree of height 0 is a page; null is zeros of any height. The lower of two trees is child 0 of
// what it would have to grow to.
void Memory::compare(const void* before, unsigned before_height, const void* after,
                     unsigned after_height, u64 prefix, const VisitDifference& fn) {
    if (before == after) return;
    if (before == nullptr) before_height = after_height;
    if (after == nullptr) after_height = before_height;
    const unsigned height = std::max(before_height, after_height);
    if (height == 0) {
        const auto bytes = [](const void* page) {
            return page == nullptr ? kZeroPage.data()
                                   : static_cast<const Page*>(page)->bytes.data();
        };
        const u8* old_bytes = bytes(before);
        const u8* new_bytes = bytes(after);
        if (std::memcmp(old_bytes, new_bytes, kPageSize) != 0) fn(prefix, old_bytes, new_bytes);
        return;
    }
    const auto child = [height](const void* tree, unsigned own_height, std::size_t i) {
        if (tree == nullptr) return static_cast<const void*>(nullptr);
        if (own_height == height)
            return static_cast<const void*>(static_cast<const Node*>(tree)->child[i]);
        return i == 0 ? tree : nullptr;
    };
    for (std::size_t i = 0; i < kFanout; ++i) {
        compare(child(before, before_height, i), std::min(before_height, height - 1),
                child(after, after_height, i), std::min(after_height, height - 1),
                prefix << kFanoutBits | i, fn);
    }
}

void Memory::for_each_difference(const Memory& before, const VisitDifference& fn) const {
    compare(before.root_, before.height_, root_, height_, 0, fn);
}

}  // namespace vtlsim::sim
