#include "sim/exec/exec.hpp"

#include <algorithm>

#include "sim/decode/code_cache.hpp"
#include "sim/exec/breakpoints.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::sim {
namespace {

// Alignment checking (SDM 3A 6.15, interrupt 17).
bool checks_alignment(const Exec& x) {
    return (x.s[Reg::cr0] & cr0::am) != 0 && (x.s[Reg::rflags] & flag::ac) != 0 && x.cpl() == 3;
}

// SDM 3A table 6-7. Operands of other sizes are whole ones of these.
std::size_t alignment_of(std::size_t size) {
    switch (size) {
        case 6:  // 48-bit pointer
            return 4;
        case 10:  // 80-bit floating point, BCD
            return 8;
        case 14:  // FSTENV and FSAVE areas, 16-bit
        case 94:
            return 2;
        case 28:  // and 32-bit
        case 108:
            return 4;
        case 512:  // FXSAVE area
            return 16;
        default:
            return size;
    }
}

// Calls part(address, offset, size) for the piece of an access in each page it touches.
template <class Part>
bool by_page(u64 address, std::size_t size, Part part) {
    for (std::size_t done = 0; done < size;) {
        const u64 at = address + done;
        const std::size_t n = std::min<std::size_t>(size - done, kPageSize - (at & kPageMask));
        if (!part(at, done, n)) return false;
        done += n;
    }
    return true;
}

}  // namespace

Flow Exec::fault(Vector vector) {
    pending = Fault{.vector = vector};
    return Flow::stop;
}

Flow Exec::fault(Vector vector, u32 error_code) {
    pending = Fault{.vector = vector, .has_error_code = true, .error_code = error_code};
    return Flow::stop;
}

// Those that were decoded, so they are still mapped; a crossing instruction's second page too.
std::array<u8, kMaxInsnLength> Exec::instruction_bytes(const Op& op) {
    std::array<u8, kMaxInsnLength> bytes{};
    const u64 address = code_base() + s[Reg::rip] + op.offset;
    const u64 in_page = address & kPageMask;
    const CodeTlbEntry& entry = tlb.code_slot(address);
    if (entry.tag == tag(address) && in_page + op.length <= kPageSize) {
        const u8* page = machine->memory().page_for_read(entry.page_number);
        std::memcpy(bytes.data(), page + in_page, op.length);
        return bytes;
    }
    by_page(address, op.length, [&](u64 at, std::size_t done, std::size_t n) {
        u64 physical = 0;
        if (!translate(at, n, Access::execute, false, false, physical)) return false;
        machine->memory().read(physical, {bytes.data() + done, n});
        return true;
    });
    return bytes;
}

Flow Exec::exit(const Exit& e, const Op& op) {
    const auto bytes = instruction_bytes(op);
    Exit& made = pending.emplace<Exit>(e);
    made.length = op.length;
    made.bytes = bytes;
    made.breakpoints = static_cast<u8>(breakpoints_hit);
    return Flow::stop;
}

Flow Exec::not_modelled(std::string_view what) {
    pending = NotModelled{std::string(what)};
    return Flow::stop;
}

void Exec::debug_registers_changed() {
    const bool before = watching;
    watching = breakpoints_enabled(s);
    if (before || watching) flush_tlb();
}

u64 Exec::steps() const {
    const u64 in_chain = block != nullptr ? full_budget - budget - block->count : 0;
    return cpu->steps_ + in_chain;
}

void Exec::advance_tsc(u64 position) {
    const u64 now = steps() + position;
    s[Reg::tsc] += now - tsc_at;
    tsc_at = now;
}

void Exec::update_context() {
    const bool long_mode = (s[Reg::efer] & efer::lma) != 0;
    const bool big_code = (s[Reg::cs_attr] >> 14 & 1) != 0;
    long_code = long_mode && attr::long_code(s[Reg::cs_attr]);
    if (long_code) {
        code_mode = CodeMode::long64;
    } else if (long_mode) {
        code_mode = big_code ? CodeMode::compat32 : CodeMode::compat16;
    } else if ((s[Reg::rflags] & flag::vm) != 0) {
        code_mode = CodeMode::virtual16;
    } else if ((s[Reg::cr0] & cr0::pe) != 0) {
        code_mode = big_code ? CodeMode::prot32 : CodeMode::prot16;
    } else {
        code_mode = big_code ? CodeMode::real32 : CodeMode::real16;
    }
    const bool big_stack = (s[Reg::ss_attr] >> 14 & 1) != 0;
    stack_mask = long_code ? ~u64{0} : big_stack ? 0xFFFFFFFF : 0xFFFF;
    ip_mask = long_code ? ~u64{0} : 0xFFFFFFFF;
    const bool user = cpl() == 3;
    // While alignment is checked no translation is cached: every access takes the slow path.
    context = kTagged | address_space | (user ? 8u : 0) |
              ((s[Reg::rflags] & flag::ac) != 0 ? 16u : 0) | (checks_alignment(*this) ? 32u : 0);
}

// Not where accesses must be looked at one by one: alignment is checked, a data breakpoint is in
// the page, the page is only partly RAM, or an address that wraps at 4 GBytes here is another one
// in 64-bit code.
bool Exec::may_cache(u64 address, u64 physical) const {
    if (checks_alignment(*this) || (!long_code && address >> 32 != 0)) return false;
    if (watching && page_has_data_breakpoint(s, address)) return false;
    return machine->is_ram(address_space, physical & ~kPageMask, kPageSize);
}

void Exec::fill_tlb(u64 address, Access access, u64 physical) {
    if (!may_cache(address, physical)) return;
    const u64 page_number = physical >> kPageShift;
    // Nothing is stored through this pointer unless write_tag matches, and that is set only once
    // page_for_write has made the page this memory's own.
    u8* host = const_cast<u8*>(machine->memory().page_for_read(page_number));
    TlbEntry& e = tlb.claim(address, tag(address), page_number, host);
    if (access != Access::write) {
        e.read_tag = tag(address);
    } else if (machine->direct_writes(page_number)) {
        e.write_tag = tag(address);
    }
}

void Exec::cache_execute(u64 address, u64 physical) {
    if (may_cache(address, physical)) tlb.set_code(address, tag(address), physical >> kPageShift);
}

bool Exec::check_alignment(u64 address, std::size_t size) {
    // An address that is not canonical comes first: the access itself will say so.
    if (address % alignment_of(size) == 0 || !checks_alignment(*this) ||
        (long_code && !canonical(address))) {
        return true;
    }
    fault(Vector::ac, 0);
    return false;
}

bool Exec::probe(u64 address, std::size_t size, Access access, bool stack) {
    if (access == Access::write) {
        const TlbEntry& e = tlb.slot(address);
        if (e.write_tag == tag(address + size - 1)) return true;
    }
    if (!check_alignment(address, size)) return false;
    return by_page(address, size, [&](u64 at, std::size_t, std::size_t n) {
        u64 physical = 0;
        return translate(at, n, access, false, stack, physical);
    });
}

bool Exec::prepare_store_slow(u64 address, std::size_t size, bool system) {
    if (!system && !probe(address, size, Access::write, true)) return false;
    return by_page(address, size, [&](u64 at, std::size_t, std::size_t n) {
        u64 physical = 0;
        if (!translate(at, n, Access::write, system, !system, physical)) return false;
        if (machine->page_for_write(physical >> kPageShift) == nullptr) {
            pending = OutOfMemory{};
            return false;
        }
        return true;
    });
}

bool Exec::load_slow(u64 address, void* out, std::size_t size, bool stack) {
    if (!probe(address, size, Access::read, stack)) return false;
    if (watching) breakpoints_hit |= data_breakpoints(s, linear_bits(address), size, Access::read);
    return by_page(address, size, [&](u64 at, std::size_t done, std::size_t n) {
        u64 physical = 0;
        if (!translate(at, n, Access::read, false, stack, physical)) return false;
        fill_tlb(at, Access::read, physical);
        machine->memory().read(physical, {static_cast<u8*>(out) + done, n});
        return true;
    });
}

bool Exec::store_slow(u64 address, const void* value, std::size_t size, bool stack) {
    // All pages of the store are checked before the first byte changes (SDM 3A 6.15: restartable).
    if (!probe(address, size, Access::write, stack)) return false;
    if (watching) breakpoints_hit |= data_breakpoints(s, linear_bits(address), size, Access::write);
    return by_page(address, size, [&](u64 at, std::size_t done, std::size_t n) {
        u64 physical = 0;
        if (!translate(at, n, Access::write, false, stack, physical)) return false;
        u8* page = machine->page_for_write(physical >> kPageShift);
        if (page == nullptr) {
            pending = OutOfMemory{};
            return false;
        }
        u8* const to = page + (physical & kPageMask);
        const u8* const from = static_cast<const u8*>(value) + done;
        if (observer != nullptr && machine->watched(physical >> kPageShift)) {
            const std::vector<u8> before(to, to + n);
            std::memcpy(to, from, n);
            observer->stored(*cpu, physical, before, {to, n});
        } else {
            std::memcpy(to, from, n);
        }
        fill_tlb(at, Access::write, physical);
        return true;
    });
}

bool Exec::system_load(u64 address, void* out, std::size_t size) {
    return by_page(address, size, [&](u64 at, std::size_t done, std::size_t n) {
        u64 physical = 0;
        if (!translate(at, n, Access::read, true, false, physical)) return false;
        machine->memory().read(physical, {static_cast<u8*>(out) + done, n});
        return true;
    });
}

bool Exec::system_probe(u64 address, std::size_t size, Access access) {
    return by_page(address, size, [&](u64 at, std::size_t, std::size_t n) {
        u64 physical = 0;
        return translate(at, n, access, true, false, physical);
    });
}

bool Exec::system_store(u64 address, const void* value, std::size_t size) {
    return system_probe(address, size, Access::write) &&
           by_page(address, size, [&](u64 at, std::size_t done, std::size_t n) {
               u64 physical = 0;
               if (!translate(at, n, Access::write, true, false, physical)) return false;
               const std::span<const u8> bytes(static_cast<const u8*>(value) + done, n);
               const bool watched = observer != nullptr && machine->watched(physical >> kPageShift);
               std::vector<u8> before(watched ? n : 0);
               machine->memory().read(physical, before);
               if (!machine->write(physical, bytes)) {
                   pending = OutOfMemory{};
                   return false;
               }
               if (watched) observer->stored(*cpu, physical, before, bytes);
               return true;
           });
}

}  // namespace vtlsim::sim
