#include <algorithm>

#include "sim/decode/code_cache.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::sim {

Machine::Machine(Memory memory)
    : memory_(std::move(memory)), code_(std::make_unique<CodeCache>()) {}
Machine::~Machine() = default;

Cpu& Machine::add_cpu() { return *cpus_.emplace_back(std::make_unique<Cpu>(*this)); }

void Machine::set_memory(Memory memory) {
    // A page that both share has not changed: nobody writes to a shared page.
    code_->invalidate_changed([&](u64 page_number) {
        return memory.page_for_read(page_number) != memory_.page_for_read(page_number);
    });
    memory_ = std::move(memory);
    for (const auto& cpu : cpus_) cpu->x_->flush_tlb();
}

Memory Machine::snapshot_memory() {
    for (const auto& cpu : cpus_) cpu->x_->tlb.flush_writes();
    return memory_;
}

u8* Machine::page_for_write(u64 page_number) {
    const u8* before = memory_.page_for_read(page_number);
    u8* page = memory_.page_for_write(page_number);
    if (page != before) {
        for (const auto& cpu : cpus_) cpu->x_->tlb.forget_page(page_number);
    }
    if (code_->has_code(page_number)) code_->invalidate_page(page_number);
    return page;
}

bool Machine::write(u64 physical, std::span<const u8> bytes) {
    while (!bytes.empty()) {
        const u64 in_page = physical & kPageMask;
        const std::size_t n = std::min<std::size_t>(bytes.size(), kPageSize - in_page);
        u8* page = page_for_write(physical >> kPageShift);
        if (page == nullptr) return false;
        std::copy_n(bytes.begin(), n, page + in_page);
        bytes = bytes.subspan(n);
        physical += n;
    }
    return true;
}

void Machine::set_ram(u8 address_space, std::vector<RamRange> ranges) {
    ram_[address_space] = std::move(ranges);
    for (const auto& cpu : cpus_) cpu->x_->flush_tlb();
}

bool Machine::is_ram(u8 address_space, u64 physical, std::size_t size) const {
    const auto& ranges = ram_[address_space];
    if (!ranges) return true;
    const u64 last = physical + size - 1;
    return std::any_of(ranges->begin(), ranges->end(),
                       [&](const RamRange& r) { return r.first <= physical && last <= r.last; });
}

void Machine::watch_page(u64 page_number) {
    watched_.insert(page_number);
    forget_writes(page_number);
}

bool Machine::direct_writes(u64 page_number) const {
    return !watched(page_number) && !code_->has_code(page_number);
}

void Machine::forget_writes(u64 page_number) {
    for (const auto& cpu : cpus_) cpu->x_->tlb.forget_writes(page_number);
}

}  // namespace vtlsim::sim
