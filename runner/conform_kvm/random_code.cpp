#include "runner/conform_kvm/random_code.hpp"

namespace vtlsim::runner::conform_kvm {
namespace {

using Bytes = RandomCase::Bytes;
using model::kvm::Mode;

constexpr u8 kOperandSize = 0x66, kAddressSize = 0x67, kRep = 0xF3, kRepne = 0xF2, kLock = 0xF0;
constexpr u8 kFs = 0x64, kRexW = 0x48;
constexpr u8 kBx = 3;  // as a register number; [BX] in 16-bit ModRM is 7

class Code {
  public:
    Code(Random& random, Mode mode) : random_(random), mode_(mode) {}

    Bytes any(bool mmio_strings) {
        u64 kind = random_.below(100);
        if (!mmio_strings && kind >= 72 && kind < 79 && mode_ == Mode::real16) kind = 30;
        if (kind < 26) return in_out();
        if (kind < 48) return ins_outs();
        if (kind < 62) return mmio_move();
        if (kind < 72) return mmio_modify();
        if (kind < 79) return mmio_string();
        return plain();
    }

  private:
    bool long_mode() const { return mode_ == Mode::long64 || mode_ == Mode::long64_cpl3; }
    u8 byte() { return static_cast<u8>(random_.next()); }

    // 66h, 67h and REX.W, each now and then; REX last.
    Bytes prefixes(bool address_size = false) {
        Bytes out;
        if (random_.one_in(3)) out.push_back(kOperandSize);
        if (address_size && random_.one_in(6)) out.push_back(kAddressSize);
        if (long_mode() && random_.one_in(6)) out.push_back(kRexW);
        return out;
    }
    static Bytes join(Bytes a, std::initializer_list<u8> b) {
        a.insert(a.end(), b);
        return a;
    }

    Bytes in_out() {
        const u8 width = static_cast<u8>(random_.below(2));
        if (random_.one_in(2))
            return join(prefixes(), {static_cast<u8>(0xEC | random_.below(2) << 1 | width)});
        constexpr u8 kPorts[] = {0x80, 0x60, 0x7E, 0x92};
        return join(prefixes(), {static_cast<u8>(0xE4 | random_.below(2) << 1 | width),
                                 kPorts[random_.below(std::size(kPorts))]});
    }

    Bytes ins_outs() {
        Bytes out;
        if (!random_.one_in(3)) out.push_back(random_.one_in(5) ? kRepne : kRep);
        const Bytes more = prefixes(true);
        out.insert(out.end(), more.begin(), more.end());
        out.push_back(static_cast<u8>(0x6C | random_.below(4)));
        return out;
    }

    // ModRM for [BX], with FS in front in real mode.
    u8 modrm(u64 reg) const {
        return static_cast<u8>((reg & 7) << 3 | (mode_ == Mode::real16 ? 7 : kBx));
    }
    Bytes mmio_prefixes() {
        Bytes out;
        if (mode_ == Mode::real16) out.push_back(kFs);
        const Bytes more = prefixes();
        out.insert(out.end(), more.begin(), more.end());
        return out;
    }
    // AX or DX: pointers and counts stay what the case has made them, or a REP would write over its
    // own code, which the model does not follow (docs/conform-kvm.md).
    u64 some_register() { return random_.one_in(2) ? 0 : 2; }

    Bytes mmio_move() {
        switch (random_.below(6)) {
            case 0:
            case 1:
                return join(mmio_prefixes(),
                            {static_cast<u8>(0x88 | random_.below(2)), modrm(some_register())});
            case 2:
            case 3:
                return join(mmio_prefixes(),
                            {static_cast<u8>(0x8A | random_.below(2)), modrm(some_register())});
            case 4:
                return join(mmio_prefixes(),
                            {0x0F, static_cast<u8>(random_.one_in(2) ? 0xB6 : 0xBE),
                             modrm(some_register())});
            default:
                return join(mmio_prefixes(), {0xC6, modrm(0), byte()});
        }
    }

    Bytes mmio_modify() {
        Bytes out = mmio_prefixes();
        switch (random_.below(6)) {
            case 0:  // ADD, OR, ADC, SBB, AND, SUB, XOR, CMP with a register
                return join(out, {static_cast<u8>(random_.below(8) << 3 | random_.below(2)),
                                  modrm(some_register())});
            case 1:  // the same to a register
                return join(out, {static_cast<u8>(random_.below(8) << 3 | 2 | random_.below(2)),
                                  modrm(some_register())});
            case 2:  // XCHG, TEST
                return join(out,
                            {static_cast<u8>(0x84 | random_.below(4)), modrm(some_register())});
            case 3:  // INC, DEC
                return join(out,
                            {static_cast<u8>(0xFE | random_.below(2)), modrm(random_.below(2))});
            case 4:  // NOT, NEG
                return join(
                    out, {static_cast<u8>(0xF6 | random_.below(2)), modrm(2 + random_.below(2))});
            default:  // LOCK ADD or SUB
                out.insert(out.begin(), kLock);
                return join(out, {static_cast<u8>(random_.one_in(2) ? 0x01 : 0x29),
                                  modrm(some_register())});
        }
    }

    // MOVS, STOS, LODS, CMPS, SCAS: whether SI or DI point to MMIO is up to the registers.
    Bytes mmio_string() {
        constexpr u8 kOpcodes[] = {0xA4, 0xA4, 0xAA, 0xAA, 0xAC, 0xAC, 0xA6, 0xAE};
        Bytes out;
        if (random_.one_in(2)) out.push_back(random_.one_in(4) ? kRepne : kRep);
        const Bytes more = prefixes();
        out.insert(out.end(), more.begin(), more.end());
        return join(out, {static_cast<u8>(kOpcodes[random_.below(std::size(kOpcodes))] |
                                          random_.below(2))});
    }

    Bytes plain() {
        const u64 kinds = mode_ == Mode::long64_cpl3 ? 8 : 12;
        switch (random_.below(kinds)) {
            case 0:
                return {0x90};
            case 1:
                return {0xFC};  // CLD
            case 2:
                return {0xFD};  // STD
            case 3:
                return {random_.one_in(2) ? u8{0xF8} : u8{0xF9}};  // CLC, STC
            case 4:                                                // INC, DEC
                return {0xFF, static_cast<u8>(0xC0 | random_.below(2) << 3 | some_register())};
            case 5:  // ADD, OR ...
                return {static_cast<u8>(random_.below(8) << 3 | 1),
                        static_cast<u8>(0xC0 | some_register() << 3 | some_register())};
            case 6:
                return {static_cast<u8>(0xB0 | some_register()), byte()};  // MOV AL or DL
            case 7:
                return {0xEB, 0x00};
            case 8:
                return {0xFB};  // STI
            case 9:
                return {0xFA};  // CLI
            case 10:
                return {0x9C};  // PUSHF
            default:
                return {static_cast<u8>(0x50 | some_register())};  // PUSH
        }
    }

    Random& random_;
    Mode mode_;
};

}  // namespace

std::vector<Bytes> random_instruction(Random& random, Mode mode, bool mmio_strings) {
    Bytes insn = Code(random, mode).any(mmio_strings);
    const u8 last = insn.back();
    std::vector<Bytes> out;
    // A REP that would go round for long is preceded by a count; else CX is what is left of it.
    const bool repeats = insn.front() == kRep || insn.front() == kRepne;
    if (repeats && !random.one_in(4)) {
        const bool ins = (last & 0xFE) == 0x6C;
        const u64 count = ins && random.one_in(4) ? 1 + random.below(1500) : random.below(7);
        const auto low = static_cast<u8>(count), high = static_cast<u8>(count >> 8);
        if (mode == Mode::real16) {
            out.push_back({0xB9, low, high});
        } else {
            out.push_back({0xB9, low, high, 0, 0});
        }
    }
    out.push_back(std::move(insn));
    return out;
}

}  // namespace vtlsim::runner::conform_kvm
