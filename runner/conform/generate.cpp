#include "runner/conform/generate.hpp"

#include <algorithm>

#include "runner/conform/place.hpp"
#include "sim/state/bits.hpp"

namespace vtlsim::runner::conform {
namespace {

namespace flag = sim::flag;

constexpr u8 kRsp = 4, kRbp = 5;

struct Encoder {
    const Form& form;
    Random& r;
    std::array<u8, 40> bytes{};
    std::size_t n = 0;

    void push(u8 byte) { bytes[n++] = byte; }

    void idle_prefixes() {
        const bool memory = form.memory && form.has_modrm;
        if (!form.vex && memory && r.one_in(16)) push(0xF0);
        const bool address16 = form.mode == Mode::compat32 && r.one_in(8);
        if (address16 || r.one_in(24)) push(0x67);
        // 16-bit addresses reach the scratch page by FS and GS only.
        if (address16 ? !r.one_in(8) : r.one_in(16)) push(static_cast<u8>(0x64 + r.below(2)));
        constexpr std::array<u8, 4> kOthers{0x26, 0x2E, 0x36, 0x3E};
        if (r.one_in(32)) push(kOthers[r.below(4)]);
    }
    void vex() {
        // R, X and B inverted, then a register in vvvv where the sample has none. Outside of
        // 64-bit mode R, X and the upper bit of vvvv have to be set.
        const bool wide = form.mode == Mode::long64;
        const u8 fixed = wide ? 0x1F : 0xDF;
        push(form.head[0]);
        push(static_cast<u8>((form.head[1] & fixed) | (r.next() & ~fixed & 0xFF)));
        const u8 vvvv = wide ? 0x78 : 0x38;
        u8 third = form.head[2];
        if (!r.one_in(8)) third = static_cast<u8>((third & ~vvvv & 0xFF) | (r.next() & vvvv));
        push(third);
    }
    void legacy() {
        for (std::size_t i = 0; i < form.prefixes; ++i) push(form.head[i]);
        if (form.mode == Mode::compat32) return;
        const bool any = form.rex_w || r.one_in(2);
        if (any) push(static_cast<u8>(0x40 | (form.rex_w ? 8 : 0) | (r.next() & 7)));
    }
    void operands() {
        for (std::size_t i = form.head.size() - form.opcode_bytes; i < form.head.size(); ++i) {
            push(form.head[i]);
        }
        if (form.has_modrm) {
            u8 modrm = static_cast<u8>(r.next() & 0x3F);
            if (form.fixed_reg) modrm = static_cast<u8>((modrm & 7) | (form.modrm & 0x38));
            if (form.fixed_rm) modrm = static_cast<u8>((modrm & 0x38) | (form.modrm & 7));
            push(static_cast<u8>(modrm | (form.memory ? r.below(3) : 3) << 6));
        }
        // SIB, displacement and immediate.
        for (std::size_t i = 0; i < 12; ++i) {
            bytes[n + i] = static_cast<u8>(r.one_in(3) ? r.edge() : r.next());
        }
    }
};

// The bytes of the instruction; `d` is that without LOCK if LOCK is not allowed. False: something
// else than the form came out.
bool encode(const Form& form, Random& r, Case& out, sim::Decoded& d) {
    Encoder e{form, r};
    e.idle_prefixes();
    if (form.vex) {
        e.vex();
    } else {
        e.legacy();
    }
    e.operands();
    std::size_t skipped = 0;
    ZyanStatus status = decode(form.mode, std::span(e.bytes).first(15), d);
    if (status == ZYDIS_STATUS_ILLEGAL_LOCK && e.bytes[0] == 0xF0) {
        skipped = 1;
        status = decode(form.mode, std::span(e.bytes).subspan(1, 14), d);
    }
    if (!ZYAN_SUCCESS(status) || d.insn.mnemonic != form.mnemonic) return false;
    out.length = static_cast<u8>(d.insn.length + skipped);
    // LOCK MOV CR0 is AMD's MOV CR8.
    if (skipped != 0 && d.insn.mnemonic == ZYDIS_MNEMONIC_MOV) return false;
    std::copy_n(e.bytes.begin(), out.length, out.code.begin());
    if (skipped != 0) out.kinds = kind_bit(EncodingKind::illegal_lock);
    return true;
}

u16 kinds_of(const Form& form, const sim::Decoded& d) {
    u16 out = 0;
    const auto add = [&](EncodingKind k, bool on) {
        if (on) out = static_cast<u16>(out | kind_bit(k));
    };
    const auto has = [&](u64 attribute) { return (d.insn.attributes & attribute) != 0; };
    using K = EncodingKind;
    add(form.mode == Mode::long64 ? K::long64 : K::compat32, true);
    add(form.memory && form.has_modrm ? K::memory_form : K::register_form, true);
    add(K::operand_size, has(ZYDIS_ATTRIB_HAS_OPERANDSIZE));
    add(K::address_size, has(ZYDIS_ATTRIB_HAS_ADDRESSSIZE));
    add(K::rex, has(ZYDIS_ATTRIB_HAS_REX));
    add(K::rep, has(ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE));
    add(K::lock, has(ZYDIS_ATTRIB_HAS_LOCK));
    add(K::segment, has(ZYDIS_ATTRIB_HAS_SEGMENT));
    add(K::fs_gs, has(ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS));
    return out;
}

void random_state(Random& r, Case& out) {
    for (u64& value : out.in.gpr) value = r.edge();
    // Repetitions end at the next page that is not mapped; short ones come to their own end.
    if (!r.one_in(4)) out.in.gpr[1] = r.one_in(2) ? r.below(70) : r.edge();
    u64 flags = 0x202 | (r.next() & (flag::kStatus | flag::df));
    if (r.one_in(4)) flags |= flag::id;
    if (r.one_in(16)) flags |= flag::ac;
    if (r.one_in(32)) flags |= flag::nt;
    out.in.rflags = flags;
    random_fpu(r, out.in.fx);
    const unsigned kind = static_cast<unsigned>(r.below(4));
    for (std::size_t i = 0; i < out.data.size(); i += 8) {
        const u64 value = lane(r, kind);
        std::memcpy(&out.data[i], &value, 8);
    }
    out.data_offset = static_cast<u16>(r.below(kPage - out.data.size()));
    out.in.gpr[kRsp] = random_address(r, 64);
    if (r.one_in(2)) out.in.gpr[kRbp] = random_address(r, 64);
}

// What 32-bit code can see.
void cut_to_32_bits(State& s) {
    s.selectors[kCsIndex] = kCs32;
    for (std::size_t i = 0; i < s.gpr.size(); ++i) s.gpr[i] = i < 8 ? s.gpr[i] & 0xFFFFFFFF : 0;
    std::fill_n(&s.fx[kXmm + 8 * 16], 8 * 16, u8{0});
}

}  // namespace

bool generate(const Form& form, u64 seed, u64 number, Case& out) {
    Random r(seed * 0xD6E8FEB86659FD93 + number);
    r.next();
    out = Case{};
    out.mode = form.mode;
    random_state(r, out);
    sim::Decoded d;
    if (!encode(form, r, out, d)) return false;
    out.kinds = static_cast<u16>(out.kinds | kinds_of(form, d));
    out.transfer = is_transfer(d);
    out.ports = d.insn.meta.category == ZYDIS_CATEGORY_IO ||
                d.insn.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
    if (form.mode == Mode::compat32) cut_to_32_bits(out.in);
    if ((out.kinds & kind_bit(EncodingKind::illegal_lock)) != 0) return true;
    if (!place_operands(r, out, d)) return false;
    shape_operands(r, out, d);
    if (form.mode == Mode::compat32) {
        cut_to_32_bits(out.in);
        out.hangs = d.insn.mnemonic == ZYDIS_MNEMONIC_CALL &&
                    d.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR && out.in.gpr[4] < 8;  // RSP
    }
    return true;
}

}  // namespace vtlsim::runner::conform
