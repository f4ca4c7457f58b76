#include "runner/conform/place.hpp"

#include <algorithm>

#include "sim/state/bits.hpp"

namespace vtlsim::runner::conform {
namespace {

constexpr std::size_t kRspNumber = 4, kRbpNumber = 5;

std::size_t gpr_number(ZydisRegister reg) {
    return static_cast<std::size_t>(ZydisRegisterGetId(reg));
}

bool is_gpr(ZydisRegister reg) {
    const ZydisRegisterClass c = ZydisRegisterGetClass(reg);
    return c == ZYDIS_REGCLASS_GPR64 || c == ZYDIS_REGCLASS_GPR32 || c == ZYDIS_REGCLASS_GPR16;
}

u64 width_mask(unsigned bits) { return bits >= 64 ? ~u64{0} : (u64{1} << bits) - 1; }

u64 segment_base(const Case& c, ZydisRegister segment) {
    return segment == ZYDIS_REGISTER_FS   ? c.in.fs_base
           : segment == ZYDIS_REGISTER_GS ? c.in.gs_base
                                          : 0;
}

// Base, index and displacement of an operand as the case has them.
u64 address_of(const Case& c, const sim::Decoded& d, unsigned i) {
    const ZydisDecodedOperandMem& m = d[i].mem;
    u64 offset = m.disp.has_displacement ? static_cast<u64>(m.disp.value) : 0;
    if (m.base == ZYDIS_REGISTER_RIP || m.base == ZYDIS_REGISTER_EIP) {
        offset += kCodePage + c.length;
    } else if (is_gpr(m.base)) {
        offset += c.in.gpr[gpr_number(m.base)];
    }
    if (is_gpr(m.index)) offset += c.in.gpr[gpr_number(m.index)] * m.scale;
    return (offset & width_mask(d.insn.address_width)) + segment_base(c, m.segment);
}

// Puts the value where a load from the address finds it.
void poke(Case& c, u64 address, u64 value, std::size_t size) {
    const u64 at = address - kScratchPage - c.data_offset;
    if (at > c.data.size() - size) return;
    std::memcpy(&c.data[at], &value, size);
}
// Moves the case's data to the address, if that is on the scratch page.
void move_data(Case& c, u64 address) {
    const u64 at = address - kScratchPage;
    if (at < kPage) c.data_offset = static_cast<u16>(std::min<u64>(at, kPage - c.data.size()));
}

bool is_flag_pop(const sim::Decoded& d) {
    return d.insn.mnemonic == ZYDIS_MNEMONIC_POPF || d.insn.mnemonic == ZYDIS_MNEMONIC_POPFD ||
           d.insn.mnemonic == ZYDIS_MNEMONIC_POPFQ;
}

// Mostly at INT3s, else where there is no code or nothing at all.
u64 branch_target(Random& r) {
    switch (r.below(16)) {
        case 0:
            return random_address(r, 8);
        case 1:
            return r.edge();
        default:
            return kCodePage + 0x40 + r.below(kPage - 0x40);
    }
}

// Of Linux' GDT (arch/x86/include/asm/segment.h), of the kernel and of user mode, and beyond it.
u16 random_selector(Random& r) {
    constexpr std::array<u16, 16> kAll{kCs32, kCs64, kData, kData, kData, kCs64, 0,    3,
                                       0x10,  0x18,  0x20,  0x28,  0x30,  0x40,  0x3B, 0x83};
    return r.one_in(16) ? static_cast<u16>(r.next() & ~u64{4}) : kAll[r.below(kAll.size())];
}
// LAR and LSL would show what Linux keeps in entry 15, the CPU's number.
u16 shown_selector(Random& r) {
    const u16 selector = random_selector(r);
    return selector >> 3 == 15 ? u16{0} : selector;
}

u64 random_flags(Random& r) { return r.edge() & ~u64{sim::flag::tf}; }

// [offset][selector], as far pointers in memory and RETF's and IRET's frames begin.
void poke_far(Random& r, Case& c, u64 address, std::size_t size) {
    poke(c, address, branch_target(r), size);
    const u16 selector = r.one_in(4) ? random_selector(r) : r.one_in(2) ? kCs32 : kCs64;
    poke(c, address + size, selector, 2);
}

bool pops_selector(const sim::Decoded& d) {
    return d.insn.mnemonic == ZYDIS_MNEMONIC_POP && d.is_reg(0) &&
           ZydisRegisterGetClass(d[0].reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

void shape_stack(Random& r, Case& c, const sim::Decoded& d) {
    const u64 top = c.in.gpr[kRspNumber] & (c.mode == Mode::long64 ? ~u64{0} : width_mask(32));
    const std::size_t size = d.insn.operand_width / 8u;
    const bool far = d.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    move_data(c, top);
    if (pops_selector(d)) {
        poke(c, top, random_selector(r), 2);
    } else if (is_flag_pop(d)) {
        poke(c, top, random_flags(r), size);
    } else if (d.insn.mnemonic == ZYDIS_MNEMONIC_RET && !far) {
        poke(c, top, branch_target(r), size);
    } else {
        poke_far(r, c, top, size);
        const bool interrupt = d.insn.mnemonic != ZYDIS_MNEMONIC_RET;
        if (interrupt) poke(c, top + 2 * size, random_flags(r), size);
        const u64 outer = top + (interrupt ? 3 : 2) * size;
        poke(c, outer, random_address(r, 64), size);
        poke(c, outer + size, r.one_in(4) ? random_selector(r) : kData, 2);
    }
}

// ModRM operands and immediates of branches.
void shape_branch(Random& r, Case& c, const sim::Decoded& d) {
    const auto& imm = d.insn.raw.imm[0];
    const std::size_t size = imm.size / 8u;
    const auto patch = [&](u64 value) { std::memcpy(&c.code[imm.offset], &value, size); };
    if (d.is_mem(0)) {
        const std::size_t offset = d.insn.operand_width / 8u;
        const u64 address = address_of(c, d, 0);
        move_data(c, address);
        if (d.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
            poke_far(r, c, address, offset);
        } else {
            poke(c, address, branch_target(r), std::min<std::size_t>(d[0].size / 8u, 8));
        }
    } else if (d.is_reg(0)) {
        // CALL RSP would push on the code page.
        if (gpr_number(d[0].reg.value) == kRspNumber) return;
        c.in.gpr[gpr_number(d[0].reg.value)] = branch_target(r);
    } else if (d.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
        patch(branch_target(r));
        const u16 selector = r.one_in(4) ? random_selector(r) : r.one_in(2) ? kCs32 : kCs64;
        std::memcpy(&c.code[imm.offset + size], &selector, 2);
    } else if (size == 1) {
        // Not into the instruction itself, which is what the last values would do.
        patch(r.below(256u - c.length));
    } else {
        patch(branch_target(r) - kCodePage - c.length);
    }
}

// A selector in operand `i`, behind an offset if the operand is a far pointer.
void shape_selector(Random& r, Case& c, const sim::Decoded& d, unsigned i, u16 selector) {
    if (d.is_reg(i)) {
        u64& reg = c.in.gpr[gpr_number(d[i].reg.value)];
        reg = (reg & ~u64{0xFFFF}) | selector;
    } else if (d.is_mem(i)) {
        const u64 address = address_of(c, d, i);
        move_data(c, address);
        const std::size_t size = d[i].size / 8u;
        poke(c, address, selector, 2);
        if (size > 2) {
            poke(c, address, r.edge(), size - 2u);
            poke(c, address + size - 2, selector, 2);
        }
    }
}

}  // namespace

u64 random_address(Random& r, unsigned size) {
    const u64 kind = r.below(64);
    if (kind == 0) return r.next();
    if (kind == 1) return kScratchPage + kPage - r.below(16);
    if (kind == 2) return kScratchPage - r.below(16);
    u64 offset = r.below(kPage - std::min<u64>(size, kPage - 64));
    if (kind < 40) offset &= ~u64{15};
    return kScratchPage + offset;
}

bool place_operands(Random& r, Case& c, const sim::Decoded& d) {
    bool placed = false;
    for (unsigned i = 0; i < d.insn.operand_count; ++i) {
        if (!d.is_mem(i)) continue;
        const ZydisDecodedOperandMem& m = d[i].mem;
        const u64 mask = width_mask(d.insn.address_width);
        const u64 address = random_address(r, d[i].size / 8u);
        const u64 offset = address - segment_base(c, m.segment);
        const u64 disp = m.disp.has_displacement ? static_cast<u64>(m.disp.value) : 0;
        u64 index = 0;
        if (is_gpr(m.index)) {
            if (m.index == m.base) c.in.gpr[gpr_number(m.index)] = 0;
            index = (c.in.gpr[gpr_number(m.index)] & mask) * m.scale;
        } else if (m.index == ZYDIS_REGISTER_AL) {
            index = c.in.gpr[0] & 0xFF;
        }
        // The case's data is what the operand reads.
        if (!placed && !r.one_in(16)) {
            move_data(c, address);
            placed = true;
        }
        if (m.base == ZYDIS_REGISTER_RIP || m.base == ZYDIS_REGISTER_EIP) {
            const auto rel = static_cast<u32>(offset - kCodePage - c.length);
            std::memcpy(&c.code[d.insn.raw.disp.offset], &rel, 4);
        } else if (m.base == ZYDIS_REGISTER_NONE && m.index == ZYDIS_REGISTER_NONE) {
            const std::size_t size = d.insn.raw.disp.size / 8u;
            std::memcpy(&c.code[d.insn.raw.disp.offset], &offset, std::min<std::size_t>(size, 8));
        } else if (m.index == m.base) {
            if (!r.one_in(4)) return false;  // goes where it goes
        } else if (is_gpr(m.base)) {
            const u64 base = (offset - disp - index) & mask;
            // What is above the address size does not count.
            const u64 above = r.one_in(2) ? r.next() & ~mask : 0;
            c.in.gpr[gpr_number(m.base)] = base | above;
        } else if (is_gpr(m.index)) {
            c.in.gpr[gpr_number(m.index)] = (offset - disp) / std::max<u64>(m.scale, 1);
        }
    }
    return true;
}

void shape_operands(Random& r, Case& c, const sim::Decoded& d) {
    // Displacements may have been changed by place_operands: look again.
    sim::Decoded now;
    if (!ZYAN_SUCCESS(decode(c.mode, std::span(c.code).first(c.length), now))) return;
    const bool returns = d.insn.meta.category == ZYDIS_CATEGORY_RET;
    if (returns || pops_selector(now) || is_flag_pop(now)) {
        shape_stack(r, c, now);
    } else if (c.transfer && d.insn.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
               d.insn.operand_count_visible > 0) {
        shape_branch(r, c, now);
    }
    switch (d.insn.mnemonic) {
        case ZYDIS_MNEMONIC_MOV:
            if (now.is_reg(0) &&
                ZydisRegisterGetClass(now[0].reg.value) == ZYDIS_REGCLASS_SEGMENT) {
                shape_selector(r, c, now, 1, random_selector(r));
            }
            break;
        case ZYDIS_MNEMONIC_LDS:
        case ZYDIS_MNEMONIC_LES:
        case ZYDIS_MNEMONIC_LFS:
        case ZYDIS_MNEMONIC_LGS:
        case ZYDIS_MNEMONIC_LSS:
            shape_selector(r, c, now, 1, random_selector(r));
            break;
        case ZYDIS_MNEMONIC_ENTER:
            // Mostly with frames that are there.
            if (!r.one_in(4)) {
                const u64 size = r.below(kPage / 4);
                c.in.gpr[kRspNumber] = kScratchPage + kPage / 2 + r.below(kPage / 2);
                c.in.gpr[kRbpNumber] = kScratchPage + kPage / 4 + r.below(kPage / 2);
                std::memcpy(&c.code[now.insn.raw.imm[0].offset], &size, 2);
            }
            break;
        case ZYDIS_MNEMONIC_LAR:
        case ZYDIS_MNEMONIC_LSL:
            shape_selector(r, c, now, 1, shown_selector(r));
            break;
        case ZYDIS_MNEMONIC_VERR:
        case ZYDIS_MNEMONIC_VERW:
            shape_selector(r, c, now, 0, shown_selector(r));
            break;
        default:
            break;
    }
}

}  // namespace vtlsim::runner::conform
