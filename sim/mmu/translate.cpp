// Linear to physical: 4-level paging (SDM 3A 4.5) and the RAM map.
#include "sim/exec/cpu.hpp"

namespace vtlsim::sim {
namespace {

namespace pte {
constexpr u64 present = 1, writable = 2, user = 4, accessed = 32, dirty = 64, large = 128,
              no_execute = u64{1} << 63;
constexpr u64 kAddress = 0x000FFFFFFFFFF000;
}  // namespace pte

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

}  // namespace

bool Exec::translate(u64 address, std::size_t size, Access access, bool system, bool stack,
                     u64& physical) {
    if (!canonical(address)) {
        // SDM 3A 3.3.7.1: #SS(0) for stack references, #GP(0) otherwise.
        fault(stack ? Vector::ss : Vector::gp, 0);
        return false;
    }
    if (s[Reg::identity_map] != 0) {
        physical = address & ((u64{1} << kPhysicalBits) - 1);
        if (!machine->is_ram(address_space, physical, size)) {
            return out_of_ram(*this, physical, address, size, access);
        }
        return true;
    }

    const bool user = !system && cpl() == 3;
    const bool write = access == Access::write;
    const bool fetch = access == Access::execute;
    const bool nx = (s[Reg::efer] & efer::nxe) != 0;
    const u64 cr4 = s[Reg::cr4];
    // SDM 3A 4.7: the fetch bit of the code exists only with NX or SMEP.
    const u32 base_code = (write ? pf::write : 0) | (user ? pf::user : 0) |
                          (fetch && (nx || (cr4 & cr4::smep) != 0) ? pf::fetch : 0);

    u64 table = s[Reg::cr3] & pte::kAddress;
    bool all_writable = true;
    bool all_user = true;
    bool any_nx = false;
    std::array<u64, 4> entry_at{};
    std::array<u64, 4> entry{};
    unsigned level = 4;
    for (;; --level) {
        const unsigned i = 4 - level;
        entry_at[i] = table + (address >> (12 + 9 * (level - 1)) & 511) * 8;
        if (!machine->is_ram(address_space, entry_at[i], 8)) {
            return out_of_ram(*this, entry_at[i], address, 8, Access::read);
        }
        machine->memory().read(entry_at[i], {reinterpret_cast<u8*>(&entry[i]), 8});
        const u64 e = entry[i];
        if ((e & pte::present) == 0) return page_fault(*this, address, base_code);
        const bool is_large = level < 4 && level > 1 && (e & pte::large) != 0;
        // Reserved (SDM 3A table 4-15 ff.): NX while EFER.NXE = 0, PS in a PML4 entry, and the low
        // address bits of a large page except PAT (bit 12).
        const u64 low_bits = is_large ? ((u64{1} << (12 + 9 * (level - 1))) - 1) & ~u64{0x1FFF} : 0;
        if (((e & pte::no_execute) != 0 && !nx) || (level == 4 && (e & pte::large) != 0) ||
            (e & low_bits) != 0) {
            return page_fault(*this, address, base_code | pf::present | pf::reserved);
        }
        all_writable = all_writable && (e & pte::writable) != 0;
        all_user = all_user && (e & pte::user) != 0;
        any_nx = any_nx || (e & pte::no_execute) != 0;
        if (level == 1 || is_large) break;
        table = e & pte::kAddress;
    }

    // Access rights (SDM 3A 4.6.1).
    bool allowed = true;
    if (user) {
        allowed = all_user && (!write || all_writable) && !(fetch && any_nx);
    } else {
        if (write && !all_writable && (s[Reg::cr0] & cr0::wp) != 0) allowed = false;
        if (fetch && (any_nx || (all_user && (cr4 & cr4::smep) != 0))) allowed = false;
        const bool override_smap = !system && (s[Reg::rflags] & flag::ac) != 0;
        if (!fetch && all_user && (cr4 & cr4::smap) != 0 && !override_smap) allowed = false;
    }
    if (!allowed) return page_fault(*this, address, base_code | pf::present);

    // Accessed and dirty bits, upper levels first (SDM 3A 4.8).
    for (unsigned i = 0; i <= 4 - level; ++i) {
        u64 updated = entry[i] | pte::accessed;
        if (write && i == 4 - level) updated |= pte::dirty;
        if (updated == entry[i]) continue;
        if (!machine->write(entry_at[i], {reinterpret_cast<const u8*>(&updated), 8})) {
            pending = OutOfMemory{};
            return false;
        }
    }
    const u64 page_bits = (u64{1} << (12 + 9 * (level - 1))) - 1;
    physical = (entry[4 - level] & pte::kAddress & ~page_bits) | (address & page_bits);
    if (!machine->is_ram(address_space, physical, size)) {
        return out_of_ram(*this, physical, address, size, access);
    }
    return true;
}

std::optional<u64> Cpu::peek_physical(u64 address) const {
    const CpuState& s = x_->s;
    if (!Exec::canonical(address)) return std::nullopt;
    u64 physical = address & ((u64{1} << kPhysicalBits) - 1);
    if (s[Reg::identity_map] == 0) {
        u64 entry = s[Reg::cr3];
        for (unsigned level = 4; level >= 1; --level) {
            const unsigned shift = 12 + 9 * (level - 1);
            machine().read((entry & pte::kAddress) + (address >> shift & 511) * 8,
                           {reinterpret_cast<u8*>(&entry), 8});
            if ((entry & pte::present) == 0) return std::nullopt;
            if (level == 1 || (level < 4 && (entry & pte::large) != 0)) {
                const u64 page_bits = (u64{1} << shift) - 1;
                physical = (entry & pte::kAddress & ~page_bits) | (address & page_bits);
                break;
            }
        }
    }
    if (!machine().is_ram(x_->address_space, physical, 1)) return std::nullopt;
    return physical;
}

}  // namespace vtlsim::sim
