// Generated programs in all modes, with loops, stores into their own code, faults and interrupts
// delivered to handlers that go on somewhere else, string instructions and single-stepping: run in
// blocks, step by step, in pieces, observed, saved and restored, they come to the same state.
// Run: build/<preset>/vtlsim_tests "[ways]"
#include <fmt/format.h>

#include "sim/insn/decoded.hpp"
#include "tests/catch.hpp"
#include "tests/fuzz/ways.hpp"

namespace vtlsim::tests {
namespace {

using namespace vtlsim::sim;

// Of each mode. The slow builds run fewer.
#if defined(__OPTIMIZE__) && !defined(VTLSIM_ADDRESS_SANITIZER)
constexpr u64 kPrograms = 600;
#else
constexpr u64 kPrograms = 100;
#endif

struct Program {
    std::vector<u8> code;
    std::vector<std::size_t> starts;  // of its instructions
};

class Generator {
  public:
    Generator(Random& random, ExecMode mode) : r_(random), mode_(mode) {
        const bool wide = mode == ExecMode::prot32 || mode == ExecMode::compat32;
        if (mode == ExecMode::long64) {
            ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        } else if (wide) {
            ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
        } else {
            ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
        }
    }

    Program program() {
        for (u64 items = 6 + r_.below(10); items > 0; --items) {
            switch (r_.below(8)) {
                case 0:
                    loop();
                    break;
                case 1:
                    overwrite();
                    break;
                case 2:
                    string();
                    break;
                default:
                    plain();
                    break;
            }
        }
        emit(r_.one_in(2) ? std::vector<u8>{0xF4} : std::vector<u8>{0xEB, 0xFE});  // HLT, JMP $
        // Stores into the code know its length only now.
        for (const auto& [at, size] : patches_) {
            const u64 base = mode_ == ExecMode::real16 ? 0 : at::kCode;
            const u64 target = base + r_.below(p_.code.size());
            for (std::size_t i = 0; i < size; ++i) {
                p_.code[at + i] = static_cast<u8>(target >> 8 * i);
            }
        }
        return std::move(p_);
    }

    // Goes on at an instruction of the program; returns there by IRET where it can.
    std::vector<u8> handler(u64 vector, const Program& program) {
        const bool error_code = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
        const u64 to = program.starts[r_.below(program.starts.size())];
        const u64 target = mode_ == ExecMode::real16 ? to : at::kCode + to;
        std::vector<u8> out;
        const auto add = [&](std::initializer_list<u8> bytes) {
            out.insert(out.end(), bytes.begin(), bytes.end());
        };
        const auto number = [&](u64 value, std::size_t size) {
            for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<u8>(value >> 8 * i));
        };
        switch (mode_) {
            case ExecMode::real16:  // push bp; mov bp, sp; mov word [bp + 2], target; pop bp; iret
                if (vector == 1) return {0xCF};
                add({0x55, 0x89, 0xE5, 0xC7, 0x46, 0x02});
                number(target, 2);
                add({0x5D, 0xCF});
                break;
            case ExecMode::prot16:  // 16-bit frames cannot return to the code: add sp, n; jmp
                add({0x83, 0xC4, static_cast<u8>(error_code ? 8 : 6), 0x66, 0xE9});
                number(target - (at::kHandlers + vector * at::kHandlerSize + 9), 4);
                break;
            case ExecMode::prot32:
                if (vector == 1) return {0xCF};
                if (error_code) add({0x83, 0xC4, 0x04});
                add({0xC7, 0x04, 0x24});
                number(target, 4);
                add({0xCF});
                break;
            default:  // 64-bit handlers of compatibility mode, too
                if (vector == 1) return {0x48, 0xCF};
                if (error_code) add({0x48, 0x83, 0xC4, 0x08});
                add({0x48, 0xC7, 0x04, 0x24});
                number(target, 4);
                add({0x48, 0xCF});
                break;
        }
        return out;
    }

  private:
    void emit(std::span<const u8> bytes) {
        p_.starts.push_back(p_.code.size());
        p_.code.insert(p_.code.end(), bytes.begin(), bytes.end());
    }

    // An instruction with this opcode and random operands. Sizes of immediates come from Zydis.
    bool random_operands(std::vector<u8> head) {
        std::array<u8, 24> bytes{};
        std::copy(head.begin(), head.end(), bytes.begin());
        for (std::size_t i = head.size(); i < bytes.size(); ++i) {
            bytes[i] = static_cast<u8>(r_.one_in(2) ? r_.below(16) : r_.next());
        }
        // Mostly registers; memory through a register without displacement.
        if (!r_.one_in(3)) bytes[head.size()] |= 0xC0;
        ZydisDecodedInstruction insn;
        ZydisDecoderContext context;
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeInstruction(&decoder_, &context, bytes.data(), 15, &insn))) {
            return false;
        }
        emit({bytes.data(), insn.length});
        return true;
    }

    void plain() {
        static constexpr u8 kOneByte[] = {
            0x01, 0x03, 0x09, 0x11, 0x19, 0x1B, 0x21, 0x29, 0x2B, 0x31, 0x39, 0x3B, 0x40,
            0x4B, 0x50, 0x53, 0x56, 0x58, 0x5B, 0x60, 0x61, 0x69, 0x6A, 0x6B, 0x70, 0x72,
            0x74, 0x75, 0x79, 0x7F, 0x80, 0x81, 0x83, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A,
            0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x98, 0x99, 0x9C, 0x9D, 0xB0, 0xB8,
            0xBB, 0xC0, 0xC1, 0xC8, 0xC9, 0xCC, 0xCD, 0xCE, 0xD1, 0xD3, 0xD8, 0xD9, 0xDC,
            0xDD, 0xE3, 0xEB, 0xF1, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFE};
        static constexpr u8 kTwoBytes[] = {0x0B, 0x10, 0x11, 0x28, 0x44, 0x4F, 0x54, 0x58, 0x59,
                                           0x5E, 0x6F, 0x7F, 0x77, 0x94, 0xA2, 0xA3, 0xA4, 0xA5,
                                           0xAB, 0xAC, 0xAE, 0xAF, 0xB1, 0xB6, 0xBA, 0xBC, 0xBE,
                                           0xC1, 0xC7, 0xC8, 0xEF, 0xFE, 0x20, 0x22, 0x06, 0x01};
        for (;;) {
            std::vector<u8> head;
            if (r_.one_in(5)) head.push_back(r_.one_in(2) ? 0x66 : 0xF3);
            if (mode_ == ExecMode::long64 && r_.one_in(2)) {
                head.push_back(static_cast<u8>(0x48 | r_.below(8)));
            }
            if (r_.one_in(3)) {
                head.push_back(0x0F);
                head.push_back(kTwoBytes[r_.below(std::size(kTwoBytes))]);
            } else {
                head.push_back(kOneByte[r_.below(std::size(kOneByte))]);
            }
            if (random_operands(head)) return;
        }
    }

    void string() {
        const u8 opcode = static_cast<u8>(r_.one_in(2) ? 0xA4 + r_.below(4) : 0xAA + r_.below(6));
        std::vector<u8> bytes;
        if (!r_.one_in(4)) bytes.push_back(r_.one_in(2) ? 0xF2 : 0xF3);
        bytes.push_back(opcode);
        emit(bytes);
    }

    // mov ecx, n; some instructions; loop back
    void loop() {
        std::vector<u8> bytes{0xB9, static_cast<u8>(1 + r_.below(6)), 0};
        if (mode_ != ExecMode::real16 && mode_ != ExecMode::prot16) bytes.insert(bytes.end(), 2, 0);
        emit(bytes);
        const std::size_t back = p_.code.size();
        for (u64 body = 1 + r_.below(4); body > 0; --body) {
            r_.one_in(4) ? overwrite() : plain();
        }
        emit(std::vector<u8>{0xE2, static_cast<u8>(back - p_.code.size() - 2)});
    }

    // mov byte [somewhere in the program], imm
    void overwrite() {
        std::vector<u8> bytes;
        std::size_t size = 4;
        switch (mode_) {
            case ExecMode::real16:
                bytes = {0x2E, 0xC6, 0x06};
                size = 2;
                break;
            case ExecMode::prot16:
                bytes = {0x67, 0xC6, 0x05};
                break;
            case ExecMode::long64:
                bytes = {0xC6, 0x04, 0x25};
                break;
            default:
                bytes = {0xC6, 0x05};
                break;
        }
        patches_.emplace_back(p_.code.size() + bytes.size(), size);
        bytes.insert(bytes.end(), size, 0);
        static constexpr u8 kValues[] = {0x90, 0x00, 0xF8, 0xC3, 0x40, 0x01};
        bytes.push_back(r_.one_in(2) ? kValues[r_.below(std::size(kValues))]
                                     : static_cast<u8>(r_.next()));
        emit(bytes);
    }

    Random& r_;
    ExecMode mode_;
    ZydisDecoder decoder_;
    Program p_;
    std::vector<std::pair<std::size_t, std::size_t>> patches_;  // place and size of addresses
};

struct Made {
    World world;
    Surroundings around;
    u64 pieces = 0;
};

Made make(ExecMode mode, u64 number) {
    Random random(number * 0x9E3779B97F4A7C15 + static_cast<u64>(mode));
    Generator generator(random, mode);
    const Program program = generator.program();
    WorldOptions options;
    options.mode = mode;
    options.cpl = mode != ExecMode::real16 && random.one_in(4) ? 3 : 0;
    options.paging = random.one_in(2);
    options.odd = random.one_in(4);
    Made made;
    made.world = make_world(random, options, program.code);
    for (u64 vector = 0; vector < 64; ++vector) {
        put(made.world.memory, at::kHandlers + vector * at::kHandlerSize,
            generator.handler(vector, program));
    }
    if (random.one_in(4)) made.world.state[Reg::rflags] |= flag::tf;
    made.around.steps = 100;
    made.around.exits.ports = false;
    made.around.watch = random.one_in(2);
    if (random.one_in(2)) made.around.interrupt_at = random.below(60);
    made.pieces = random.next();
    return made;
}

}  // namespace

TEST_CASE("ways to run: generated programs come to the same state in all of them", "[ways]") {
    for (const ExecMode mode : {ExecMode::real16, ExecMode::prot16, ExecMode::prot32,
                                ExecMode::compat32, ExecMode::long64}) {
        u64 long_runs = 0;
        for (u64 number = 0; number < kPrograms; ++number) {
            const Made made = make(mode, number);
            const std::string problems = check_all_ways(made.world, made.around, made.pieces);
            if (!problems.empty()) {
                FAIL_CHECK(fmt::format("mode {} program {}\n{}", static_cast<int>(mode), number,
                                       problems));
            }
            const Ending ending = run_in({.name = "at once"}, made.world, made.around);
            if (ending.steps >= 50) ++long_runs;
        }
        INFO("mode " << static_cast<int>(mode));
        CHECK(long_runs > kPrograms / 2);  // most programs do get somewhere
    }
}

TEST_CASE("ways to run: the comparison notices a difference", "[ways]") {
    const Made made = make(ExecMode::long64, 3);
    const Way way{.name = "at once"};
    const Ending whole = run_in(way, made.world, made.around);
    CHECK(difference(whole, run_in(way, made.world, made.around)).empty());

    Made other = made;
    other.world.state[Reg::r15] ^= 1;
    CHECK_FALSE(difference(whole, run_in(way, other.world, other.around)).empty());
    other = made;
    put_word(other.world.memory, at::kSpareTss, 0x55, 1);
    CHECK_FALSE(difference(whole, run_in(way, other.world, other.around)).empty());
    other = made;
    --other.around.steps;
    CHECK_FALSE(difference(whole, run_in(way, other.world, other.around)).empty());
}

}  // namespace vtlsim::tests
