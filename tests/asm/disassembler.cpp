// The one style instructions are shown in.
// Run: build/<preset>/vtlsim_tests "[asm]"
#include "sim/asm/disassembler.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "tests/catch.hpp"

namespace vtlsim::sim {
namespace {

struct Case {
    std::vector<u8> code;
    std::string_view text;
    AsmMode mode = AsmMode::bits64;
};

const std::vector<Case> kCases = {
    {{0x90}, "nop"},
    {{0x48, 0x89, 0xd8}, "mov rax, rbx"},
    {{0x48, 0x83, 0xc0, 0xf0}, "add rax, 0xfffffffffffffff0"},
    {{0xb8, 0xef, 0xbe, 0xad, 0xde}, "mov eax, 0xdeadbeef"},
    {{0x8b, 0x05, 0x10, 0, 0, 0}, "mov eax, dword ptr [0x401016]"},
    {{0x8b, 0x45, 0xfc}, "mov eax, dword ptr [rbp-0x4]"},
    {{0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0}, "mov rax, qword ptr fs:[0x28]"},
    {{0xeb, 0xfe}, "jmp 0x401000"},
    {{0xe8, 0xfb, 0xff, 0xff, 0xff}, "call 0x401000"},
    {{0xf0, 0x0f, 0xb1, 0x0f}, "lock cmpxchg dword ptr [rdi], ecx"},
    {{0xd9, 0x07}, "fld dword ptr [rdi]"},
    {{0xf3, 0xa4}, "rep movsb"},
    {{0x64, 0xac}, "fs lodsb"},
    {{0x67, 0xf3, 0xa4}, "a32 rep movsb"},
    {{0x48, 0xff, 0x2f}, "jmp far tbyte ptr [rdi]"},
    {{0xea, 0x34, 0x12, 0x08, 0x00}, "jmp far 0x0008:0x1234", AsmMode::bits16},
    {{0x8b, 0x00}, "mov ax, word ptr [bx+si*1]", AsmMode::bits16},
    {{0x60}, "pushad", AsmMode::bits32},
    {{0x0f, 0x01, 0xc1}, "vmcall"},
    // Only the first instruction is read.
    {{0xf4, 0x90}, "hlt"},
    // No instruction, or not the whole of one.
    {{}, "(bad)"},
    {{0x60}, "(bad)"},
    {{0x48, 0x8b}, "(bad)"},
    {{0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "ud0 edi, edi"},
    {{0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66},
     "(bad)"},
};

}  // namespace

TEST_CASE("instructions are shown in one style", "[asm]") {
    for (const Case& c : kCases) {
        INFO("expected: " << c.text);
        CHECK(disassemble(c.code, 0x401000, c.mode) == c.text);
    }
}

}  // namespace vtlsim::sim
