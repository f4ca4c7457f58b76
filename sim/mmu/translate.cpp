// Linear to physical: paging with its access rights, accessed and dirty bits, and the RAM map.
#include "sim/exec/cpu.hpp"
#include "sim/mmu/walk.hpp"

namespace vtlsim::sim {
namespace {

namespace pf {
constexpr u32 present = 1, write = 2, user = 4, reserved = 8, fetch = 16;
}  // namespace pf

bool out_of_ram(Exec& x, u64 gpa, u64 gva, std::size_t size, Access access) {
    x.pending = Exit{.kind = ExitKind::memory,
                     .size = static_cast<u8>(size),
                     .gpa = gpa,
                     .gva = gva,
                     .access = access};
    return false;
}

bool page_fault(Exec& x, u64 address, u32 code) {
    x.pending =
        Fault{.vector = Vector::pf, .has_error_code = true, .error_code = code, .cr2 = address};
    return false;
}

constexpr u64 kPhysicalMask = (u64{1} << kPhysicalBits) - 1;

}  // namespace

bool Exec::translate(u64 address, std::size_t size, Access access, bool system, bool stack,
                     u64& physical) {
    // Outside of 64-bit code linear addresses have 32 bits and wrap (SDM 3A 3.3); but the CPU's own
    // accesses to tables have 64 in all of long mode (SDM 3A 3.5.2).
    const bool long_mode = (s[Reg::efer] & efer::lma) != 0;
    if (!(system ? long_mode : long_code)) {
        address &= 0xFFFFFFFF;
    } else if (!canonical(address)) {
        // SDM 3A 3.3.7.1: #SS(0) for stack references, #GP(0) otherwise.
        fault(stack ? Vector::ss : Vector::gp, 0);
        return false;
    }
    if (s[Reg::identity_map] != 0) {
        physical = address & kPhysicalMask;
        if (!machine->is_ram(address_space, physical, size)) {
            return out_of_ram(*this, physical, address, size, access);
        }
        return true;
    }

    const bool user = !system && cpl() == 3;
    const bool write = access == Access::write;
    const bool fetch = access == Access::execute;
    const u64 cr4 = s[Reg::cr4];
    const bool nx = (s[Reg::efer] & efer::nxe) != 0 && (cr4 & cr4::pae) != 0;
    // SDM 3A 4.7: the fetch bit of the code exists only with SMEP, or with NX in tables that have
    // it.
    const bool fetch_bit = (cr4 & cr4::smep) != 0 || (nx && (cr4 & cr4::pae) != 0);
    const u32 base_code =
        (write ? pf::write : 0) | (user ? pf::user : 0) | (fetch && fetch_bit ? pf::fetch : 0);

    const Walk walk = walk_tables(*machine, address_space, s, address);
    switch (walk.end) {
        case Walk::End::mapped:
            break;
        case Walk::End::not_present:
            return page_fault(*this, address, base_code);
        case Walk::End::reserved:
            return page_fault(*this, address, base_code | pf::present | pf::reserved);
        case Walk::End::outside_ram:
            return out_of_ram(*this, walk.physical, address, 8, Access::read);
    }

    // Access rights (SDM 3A 4.6.1).
    bool allowed = true;
    if (walk.entries == 0) {
        // No paging, no rights.
    } else if (user) {
        allowed = walk.user && (!write || walk.writable) && !(fetch && walk.no_execute);
    } else {
        if (write && !walk.writable && (s[Reg::cr0] & cr0::wp) != 0) allowed = false;
        if (fetch && (walk.no_execute || (walk.user && (cr4 & cr4::smep) != 0))) allowed = false;
        const bool override_smap = !system && (s[Reg::rflags] & flag::ac) != 0;
        if (!fetch && walk.user && (cr4 & cr4::smap) != 0 && !override_smap) allowed = false;
    }
    if (!allowed) return page_fault(*this, address, base_code | pf::present);

    // Accessed and dirty bits, upper levels first (SDM 3A 4.8). A PDPTE of PAE paging has none.
    const PagingMode mode = paging_mode(s);
    for (unsigned i = mode.levels == 3 ? 1 : 0; i < walk.entries; ++i) {
        u64 updated = walk.entry[i] | pte::accessed;
        if (write && i + 1 == walk.entries) updated |= pte::dirty;
        if (updated == walk.entry[i]) continue;
        if (!machine->write(walk.entry_at[i],
                            {reinterpret_cast<const u8*>(&updated), mode.entry_size})) {
            pending = OutOfMemory{};
            return false;
        }
    }
    physical = walk.physical;
    if (!machine->is_ram(address_space, physical, size)) {
        return out_of_ram(*this, physical, address, size, access);
    }
    return true;
}

std::optional<u64> Cpu::peek_physical(u64 address) const {
    const CpuState& s = x_->s;
    if (!x_->long_code) {
        address &= 0xFFFFFFFF;
    } else if (!Exec::canonical(address)) {
        return std::nullopt;
    }
    u64 physical = address & kPhysicalMask;
    if (s[Reg::identity_map] == 0) {
        const Walk walk = walk_tables(machine(), x_->address_space, s, address);
        if (walk.end != Walk::End::mapped) return std::nullopt;
        physical = walk.physical;
    }
    if (!machine().is_ram(x_->address_space, physical, 1)) return std::nullopt;
    return physical;
}

}  // namespace vtlsim::sim
