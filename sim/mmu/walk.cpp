#include "sim/mmu/walk.hpp"

namespace vtlsim::sim {
namespace {

// A PDPTE of PAE paging has no rights (SDM 3A table 4-8).
constexpr u64 kPdpteReserved = 0x1E6 | 0x7FF0'0000'0000'0000 | pte::no_execute;

// Bits that must be zero, from the mode, the level (1 is the last) and whether the entry maps a
// page itself.
u64 reserved_bits(const PagingMode& mode, const CpuState& s, unsigned level, bool maps_page) {
    if (mode.entry_size == 4) {
        // A 4-MByte page without PSE-36 (SDM 3A table 4-4).
        return maps_page && level == 2 ? 0x003FE000 : 0;
    }
    u64 bits = (s[Reg::efer] & efer::nxe) == 0 ? pte::no_execute : 0;
    if (mode.levels == 3 && level == 3) {
        // Also checked when CR3 is loaded, for here the entries are read anew at each use.
        return kPdpteReserved;
    }
    if (mode.levels == 4 && level == 4) bits |= pte::large;
    // PAE paging ignores no bits up there (SDM 3A tables 4-9 to 4-11).
    if (mode.levels == 3) bits |= 0x7FF0'0000'0000'0000;
    // The low address bits of a large page, but PAT (bit 12).
    if (maps_page && level > 1) {
        bits |= ((u64{1} << (12 + 9 * (level - 1))) - 1) & ~u64{0x1FFF};
    }
    return bits;
}

}  // namespace

PagingMode paging_mode(const CpuState& s) {
    if ((s[Reg::cr0] & cr0::pg) == 0) return {};
    if ((s[Reg::efer] & efer::lma) != 0) return {.levels = 4};
    if ((s[Reg::cr4] & cr4::pae) != 0) return {.levels = 3};
    return {.levels = 2, .index_bits = 10, .entry_size = 4};
}

bool pdptes_valid(const Machine& machine, u8 address_space, const CpuState& s) {
    if (paging_mode(s).levels != 3 || s[Reg::identity_map] != 0) return true;
    for (u64 i = 0; i < 4; ++i) {
        const u64 at = (s[Reg::cr3] & 0xFFFFFFE0) + 8 * i;
        u64 entry = 0;
        if (!machine.is_ram(address_space, at, sizeof(entry))) continue;
        machine.read(at, {reinterpret_cast<u8*>(&entry), sizeof(entry)});
        if ((entry & pte::present) != 0 && (entry & kPdpteReserved) != 0) return false;
    }
    return true;
}

Walk walk_tables(const Machine& machine, u8 address_space, const CpuState& s, u64 linear) {
    const PagingMode mode = paging_mode(s);
    Walk w;
    u64 table = s[Reg::cr3] & (mode.levels == 3 ? ~u64{31} & 0xFFFFFFFF : pte::kAddress);
    for (unsigned level = mode.levels; level > 0; --level) {
        const unsigned shift = 12 + mode.index_bits * (level - 1);
        const u64 index = linear >> shift & ((u64{1} << mode.index_bits) - 1);
        const unsigned i = w.entries++;
        w.entry_at[i] = table + index * mode.entry_size;
        if (!machine.is_ram(address_space, w.entry_at[i], mode.entry_size)) {
            w.end = Walk::End::outside_ram;
            w.physical = w.entry_at[i];
            return w;
        }
        u64& e = w.entry[i];
        machine.read(w.entry_at[i], {reinterpret_cast<u8*>(&e), mode.entry_size});
        if ((e & pte::present) == 0) {
            w.end = Walk::End::not_present;
            return w;
        }
        const bool large_allowed = mode.entry_size == 4
                                       ? level == 2 && (s[Reg::cr4] & cr4::pse) != 0
                                       : level == 2 || (level == 3 && mode.levels == 4);
        const bool maps_page = level == 1 || (large_allowed && (e & pte::large) != 0);
        if ((e & reserved_bits(mode, s, level, maps_page)) != 0) {
            w.end = Walk::End::reserved;
            return w;
        }
        if (!(mode.levels == 3 && level == 3)) {
            w.writable = w.writable && (e & pte::writable) != 0;
            w.user = w.user && (e & pte::user) != 0;
            w.no_execute = w.no_execute || (e & pte::no_execute) != 0;
        }
        if (maps_page) {
            const u64 page_bits = (u64{1} << shift) - 1;
            w.physical = (e & pte::kAddress & ~page_bits) | (linear & page_bits);
            return w;
        }
        table = e & pte::kAddress;
    }
    w.physical = linear;
    return w;
}

}  // namespace vtlsim::sim
