#include "runner/conform/generate.hpp"

#include <algorithm>
#include <cstring>

#include "sim/state/bits.hpp"

namespace vtlsim::runner::conform {

namespace flag = sim::flag;

u64 Random::edge() {
    const u64 bits = next();
    switch (bits & 7) {
        case 0:
            return bits >> 3 & 0xF;
        case 1:
            return u64{0} - (bits >> 3 & 0xF);
        case 2: {  // around a power of two
            const u64 power = u64{1} << (bits >> 3 & 63);
            return power + (bits >> 9 & 3) - 2;
        }
        case 3:
            return static_cast<u64>(static_cast<i64>(static_cast<i32>(next())));
        case 4:
            return (bits & 8) != 0 ? 0x7F7F7F7F7F7F7F7F : 0x8080808080808080;
        default:
            return next();
    }
}

namespace {

constexpr u8 kRsp = 4, kRbp = 5;

// A float of that many bits: special values, small integers and noise.
u64 float_bits(Random& r, unsigned mantissa, unsigned exponent_bits) {
    const u64 sign = r.next() & 1;
    const u64 exponents = (u64{1} << exponent_bits) - 1;
    const u64 bias = exponents >> 1;
    const u64 fraction_mask = (u64{1} << mantissa) - 1;
    u64 exponent = 0;
    u64 fraction = 0;
    switch (r.below(8)) {
        case 0:
            exponent = r.one_in(2) ? 0 : exponents;  // zero, infinity
            break;
        case 1:  // NaN of both kinds
            exponent = exponents;
            fraction = r.next() & fraction_mask;
            break;
        case 2:  // denormal
            fraction = r.next() >> r.below(64) & fraction_mask;
            break;
        case 3:  // near overflow or underflow
            exponent = r.one_in(2) ? exponents - 1 - r.below(3) : 1 + r.below(3);
            fraction = r.next() & fraction_mask;
            break;
        case 4:  // few bits set
            exponent = bias + r.below(70) - 5;
            fraction = (r.next() & 7) << (mantissa - 3);
            break;
        case 5:  // all ones below: rounding carries
            exponent = bias + r.below(20) - 10;
            fraction = fraction_mask << r.below(3) & fraction_mask;
            break;
        default:
            exponent = bias + r.below(140) - 70;
            fraction = r.next() & fraction_mask;
            break;
    }
    exponent &= exponents;
    return sign << (mantissa + exponent_bits) | exponent << mantissa | fraction;
}

u64 lane(Random& r, unsigned kind) {
    switch (kind) {
        case 0:
            return r.edge();
        case 1:
            return float_bits(r, 52, 11);
        case 2:
            return float_bits(r, 23, 8) | float_bits(r, 23, 8) << 32;
        default:
            return r.next();
    }
}

template <class T>
void put(std::array<u8, 512>& fx, std::size_t at, T value) {
    std::memcpy(&fx[at], &value, sizeof(value));
}

void random_extended(Random& r, std::array<u8, 512>& fx, std::size_t at) {
    // An 80-bit register: a double's kind of value with the explicit integer bit, or any bits.
    u64 fraction = 0;
    u16 exponent = 0;
    switch (r.below(8)) {
        case 0:  // any, the encodings that the x87 does not support too
            fraction = r.next();
            exponent = static_cast<u16>(r.next());
            break;
        case 1:  // zero, infinity, denormal
            exponent = static_cast<u16>(r.one_in(2) ? 0x7FFF : 0);
            fraction = exponent != 0 ? u64{1} << 63 : r.one_in(2) ? 0 : r.next() >> r.below(63);
            break;
        case 2:  // NaN
            exponent = 0x7FFF;
            fraction = r.next() | u64{1} << 63;
            break;
        case 3:  // edges of the range
            exponent = static_cast<u16>(r.one_in(2) ? 0x7FFE - r.below(70) : 1 + r.below(70));
            fraction = r.next() | u64{1} << 63;
            break;
        case 4:  // small integers
            exponent = static_cast<u16>(0x3FFF + r.below(64));
            fraction = u64{1} << 63 | (r.next() & 0xF) << 59;
            break;
        default:
            exponent = static_cast<u16>(0x3FFF - 70 + r.below(140));
            fraction = r.next() | u64{1} << 63;
            break;
    }
    exponent = static_cast<u16>((exponent & 0x7FFF) | (r.next() & 1) << 15);
    put(fx, at, fraction);
    put(fx, at + 8, exponent);
}

void random_fpu(Random& r, std::array<u8, 512>& fx) {
    const bool masked = !r.one_in(4);
    const u64 masks = masked ? 0x3F : r.next() & 0x3F;
    put(fx, kFcw, static_cast<u16>(0x40 | masks | (r.next() & 0xF00)));
    // No exception pending that is not masked: ES and B would have to follow.
    const u64 flags = r.one_in(4) ? r.next() & masks : 0;
    put(fx, kFsw, static_cast<u16>(flags | (r.next() & 0x7F40 & ~u64{flags != 0 ? 0 : 0x40u})));
    const u64 tags = r.one_in(2) ? 0xFF : r.one_in(4) ? 0 : r.next();
    put(fx, kFtw, static_cast<u8>(tags));
    for (std::size_t i = 0; i < 8; ++i) random_extended(r, fx, kSt + 16 * i);
    u64 mxcsr = 0x1F80 | (r.next() & 0x6000);
    if (r.one_in(8)) mxcsr |= r.next() & 0x8040;
    if (r.one_in(4)) mxcsr &= ~(r.next() & 0x1F80);
    if (r.one_in(4)) mxcsr |= r.next() & 0x3F;
    put(fx, kMxcsr, static_cast<u32>(mxcsr));
    for (std::size_t i = 0; i < 32; ++i) {
        put(fx, kXmm + 8 * i, lane(r, static_cast<unsigned>(r.below(4))));
    }
}

// An address on the scratch page; rarely one that reaches beyond it, is unmapped or not canonical.
u64 random_address(Random& r, unsigned size) {
    const u64 kind = r.below(64);
    if (kind == 0) return r.next();
    if (kind == 1) return kScratchPage + kPage - r.below(16);
    if (kind == 2) return kScratchPage - r.below(16);
    u64 offset = r.below(kPage - std::min<u64>(size, kPage - 64));
    if (kind < 40) offset &= ~u64{15};
    return kScratchPage + offset;
}

// The bytes of the instruction. False: too long.
bool encode(const Form& form, Random& r, Case& out) {
    std::array<u8, 40> bytes{};
    std::size_t n = 0;
    if (!form.vex && form.memory && form.has_modrm && r.one_in(16)) bytes[n++] = 0xF0;
    if (r.one_in(24)) bytes[n++] = 0x67;
    if (r.one_in(32)) bytes[n++] = 0x3E;
    const std::size_t opcode_at = form.head.size() - form.opcode_bytes;
    if (form.vex) {
        bytes[n] = form.head[0];
        // R, X and B inverted, then a register in vvvv where the sample has none.
        bytes[n + 1] = static_cast<u8>((form.head[1] & 0x1F) | (r.next() & 0xE0));
        bytes[n + 2] = form.head[2];
        if (!r.one_in(8)) bytes[n + 2] = static_cast<u8>((form.head[2] & 0x87) | (r.next() & 0x78));
        n += 3;
    } else {
        for (std::size_t i = 0; i < form.prefixes; ++i) bytes[n++] = form.head[i];
        const u64 rex = 0x40 | (form.rex_w ? 8 : 0) | (r.next() & 7);
        if (form.rex_w || r.one_in(2)) bytes[n++] = static_cast<u8>(rex);
    }
    for (std::size_t i = opcode_at; i < form.head.size(); ++i) bytes[n++] = form.head[i];
    if (form.has_modrm) {
        u8 modrm = static_cast<u8>(r.next() & 0x3F);
        if (form.fixed_reg) modrm = static_cast<u8>((modrm & 7) | (form.modrm & 0x38));
        if (form.fixed_rm) modrm = static_cast<u8>((modrm & 0x38) | (form.modrm & 7));
        modrm = static_cast<u8>(modrm | (form.memory ? r.below(3) : 3) << 6);
        bytes[n++] = modrm;
    }

    // SIB, displacement and immediate: small numbers, so that addresses can be mended.
    for (std::size_t i = 0; i < 12; ++i) {
        bytes[n + i] = static_cast<u8>(r.one_in(3) ? r.edge() : r.next());
    }
    sim::Decoded d;
    if (!decode(bytes.data(), 15, d) || d.insn.mnemonic != form.mnemonic) return false;
    out.length = d.insn.length;
    std::copy_n(bytes.begin(), out.length, out.code.begin());
    return true;
}

std::size_t gpr_number(ZydisRegister reg) {
    return static_cast<std::size_t>(ZydisRegisterGetId(reg));
}

bool is_gpr(ZydisRegister reg) {
    const ZydisRegisterClass c = ZydisRegisterGetClass(reg);
    return c == ZYDIS_REGCLASS_GPR64 || c == ZYDIS_REGCLASS_GPR32;
}

// Makes the memory operands lie on the scratch page, by their base register or displacement.
bool place_operands(Random& r, Case& out, const sim::Decoded& d) {
    bool placed = false;
    for (unsigned i = 0; i < d.insn.operand_count; ++i) {
        if (!d.is_mem(i)) continue;
        const ZydisDecodedOperandMem& m = d[i].mem;
        const u64 address = random_address(r, d[i].size / 8u);
        const u64 disp = m.disp.has_displacement ? static_cast<u64>(m.disp.value) : 0;
        u64 index = 0;
        if (is_gpr(m.index)) {
            if (m.index == m.base) out.in.gpr[gpr_number(m.index)] = 0;
            index = out.in.gpr[gpr_number(m.index)];
            if (d.insn.address_width == 32) index &= 0xFFFFFFFF;
            index *= m.scale;
        } else if (m.index == ZYDIS_REGISTER_AL) {
            index = out.in.gpr[0] & 0xFF;
        }
        if (!placed && !r.one_in(16)) {
            // The case's data is what the operand reads.
            const u64 at = address - kScratchPage;
            if (at < kPage) {
                out.data_offset = static_cast<u16>(std::min<u64>(at, kPage - out.data.size()));
                placed = true;
            }
        }
        if (m.base == ZYDIS_REGISTER_RIP || m.base == ZYDIS_REGISTER_EIP) {
            const auto rel = static_cast<u32>(address - kCodePage - out.length);
            std::memcpy(&out.code[d.insn.raw.disp.offset], &rel, 4);
        } else if (m.base == ZYDIS_REGISTER_NONE && m.index == ZYDIS_REGISTER_NONE) {
            const std::size_t size = d.insn.raw.disp.size / 8u;
            std::memcpy(&out.code[d.insn.raw.disp.offset], &address,
                        std::min<std::size_t>(size, 8));
        } else if (m.index == m.base) {
            return r.one_in(4);  // goes where it goes
        } else if (is_gpr(m.base)) {
            u64 base = address - disp - index;
            // The upper half does not count in a 32-bit address.
            if (d.insn.address_width == 32 && r.one_in(2))
                base = (base & 0xFFFFFFFF) | r.next() << 32;
            out.in.gpr[gpr_number(m.base)] = base;
        } else if (is_gpr(m.index)) {
            out.in.gpr[gpr_number(m.index)] = (address - disp) / std::max<u64>(m.scale, 1);
        }
    }
    return true;
}

}  // namespace

const std::array<u8, kPage>& scratch_pattern() {
    static const std::array<u8, kPage> pattern = [] {
        std::array<u8, kPage> bytes{};
        Random r(1);
        for (std::size_t i = 0; i < kPage; i += 8) {
            const u64 value = r.edge();
            std::memcpy(&bytes[i], &value, 8);
        }
        return bytes;
    }();
    return pattern;
}

bool generate(const Form& form, u64 seed, u64 number, Case& out) {
    Random r(seed * 0xD6E8FEB86659FD93 + number);
    r.next();
    out = Case{};
    for (u64& value : out.in.gpr) value = r.edge();
    // Repetitions end at the next page that is not mapped; short ones come to their own end.
    if (!r.one_in(4)) out.in.gpr[1] = r.one_in(2) ? r.below(70) : r.edge();
    out.in.rflags = 0x202 | (r.next() & (flag::kStatus | flag::df));
    random_fpu(r, out.in.fx);
    const unsigned kind = static_cast<unsigned>(r.below(4));
    for (std::size_t i = 0; i < out.data.size(); i += 8) {
        const u64 value = lane(r, kind);
        std::memcpy(&out.data[i], &value, 8);
    }
    out.data_offset = static_cast<u16>(r.below(kPage - out.data.size()));
    out.in.gpr[kRsp] = random_address(r, 64);
    if (r.one_in(2)) out.in.gpr[kRbp] = random_address(r, 64);

    if (!encode(form, r, out)) return false;
    sim::Decoded d;
    if (!decode(out.code.data(), out.length, d)) return false;
    for (unsigned i = 0; i < d.insn.operand_count; ++i) {
        // Bases that the operating system sets.
        if (d.is_mem(i) &&
            (d[i].mem.segment == ZYDIS_REGISTER_FS || d[i].mem.segment == ZYDIS_REGISTER_GS)) {
            return false;
        }
    }
    if (!place_operands(r, out, d)) return false;
    if (d.insn.mnemonic == ZYDIS_MNEMONIC_POPFQ || d.insn.mnemonic == ZYDIS_MNEMONIC_POPF) {
        // TF would trap and AC check the alignment of the harness itself.
        out.data[1] &= 0xFE;
        out.data[2] &= 0xFB;
        out.in.gpr[kRsp] = kScratchPage + out.data_offset;
    }
    return true;
}

}  // namespace vtlsim::runner::conform
