// What the assembler's language means: labels, data, expressions, addresses, layout.
// Run: build/<preset>/vtlsim_tests "[asm]"
#include "sim/asm/assembler.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/asm/disassembler.hpp"
#include "tests/catch.hpp"

namespace vtlsim::sim {
namespace {

std::string to_hex(const std::vector<u8>& bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const u8 byte : bytes) {
        if (!text.empty()) text += ' ';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

AsmResult assembled(std::string_view text, const AsmOptions& options = {}) {
    AsmResult result = assemble(text, options);
    for (const AsmError& error : result.errors)
        UNSCOPED_INFO(error.line << ":" << error.column << ": " << error.message);
    CHECK(result.ok());
    return result;
}

std::string bytes_of(std::string_view text, const AsmOptions& options = {}) {
    return to_hex(assembled(text, options).bytes);
}

u64 value_of(const AsmResult& result, std::string_view name) {
    const AsmSymbol* symbol = result.find(name);
    INFO("symbol " << name);
    REQUIRE(symbol != nullptr);
    return symbol->value;
}

// The disassembly of the only instruction of `text`.
std::string meaning(std::string_view text, AsmMode mode = AsmMode::bits64) {
    AsmOptions options;
    options.mode = mode;
    const AsmResult result = assembled(text, options);
    return disassemble(result.bytes, result.origin, mode);
}

}  // namespace

TEST_CASE("an empty text assembles to nothing", "[asm]") {
    for (const std::string_view text : {"", "\n\n", "  ; only a comment", "\r\n\t\r\n"}) {
        const AsmResult result = assembled(text);
        CHECK(result.bytes.empty());
        CHECK(result.symbols.empty());
        CHECK(result.lines.empty());
    }
}

TEST_CASE("numbers are read in every spelling of nasm", "[asm]") {
    for (const std::string_view number :
         {"165", "0xA5", "0XA5", "0a5h", "0A5H", "$0A5", "0b10100101", "10100101b", "1010_0101b",
          "0xA_5", "245o", "0q245", "165d", "0d165", "1_65", "+165", "--165"}) {
        INFO(number);
        CHECK(bytes_of("db " + std::string(number)) == "a5");
    }
    CHECK(bytes_of("dq 0xffffffffffffffff") == "ff ff ff ff ff ff ff ff");
    CHECK(bytes_of("dw 0x1b, 1bh") == "1b 00 1b 00");
    CHECK(bytes_of("dw 'ab', 'a'") == "61 62 61 00");
    CHECK(bytes_of("dd 'ab' + 1") == "62 62 00 00");
    CHECK(bytes_of("dd 1.5, -2.0") == "00 00 c0 3f 00 00 00 c0");
    CHECK(bytes_of("dq 1.0e2") == "00 00 00 00 00 00 59 40");
}

TEST_CASE("expressions have nasm's operators and precedence", "[asm]") {
    const std::pair<std::string_view, u64> cases[] = {
        {"1+2*3", 7},
        {"(1+2)*3", 9},
        {"10-2-3", 5},
        {"1<<4+1", 32},
        {"1|2&3^2", 1},
        {"6&3|8", 10},
        {"7/2", 3},
        {"7%3", 1},
        {"-1/2", 0x7fffffffffffffff},
        {"-7//2", u64(0) - 3},
        {"-7%%3", u64(0) - 1},
        {"-8000000000000000h // -1", 0x8000000000000000},
        {"~0", ~u64{0}},
        {"-~5", 6},
        {"1<<63", u64{1} << 63},
        {"1<<64", 0},
        {"-1>>60", 15},
        {"0xffffffffffffffff+2", 1},
        {"1<<(2+1)", 8},
        {"0x10000*0x1000000000000", 0},
    };
    for (const auto& [expression, value] : cases) {
        INFO(expression);
        const AsmResult result = assembled("x equ " + std::string(expression));
        CHECK(value_of(result, "x") == value);
    }
}

TEST_CASE("strings are data, escapes only in backquotes", "[asm]") {
    CHECK(bytes_of(R"(db 'a;b', "it's", 0)") == "61 3b 62 69 74 27 73 00");
    CHECK(bytes_of(R"(db 'a\n')") == "61 5c 6e");
    CHECK(bytes_of(R"(db `a\n\x41\0`)") == "61 0a 41 00");
    CHECK(bytes_of("dw 'abc'") == "61 62 63 00");
    CHECK(bytes_of("dd 'abcde'") == "61 62 63 64 65 00 00 00");
}

TEST_CASE("a local label belongs to the label before it", "[asm]") {
    const AsmResult result = assembled(R"(
first:
.here:  nop
size    equ 4
.there: nop
second:
.here:  jmp .here
        jmp first.there
)",
                                       {});
    CHECK(value_of(result, "first.here") == 0);
    CHECK(value_of(result, "first.there") == 1);
    CHECK(value_of(result, "second.here") == 2);
    CHECK(to_hex(result.bytes) == "90 90 eb fe eb fb");
    CHECK(result.find("first.here")->is_label);
    CHECK(result.find("first.here")->line == 3);
    CHECK_FALSE(result.find("size")->is_label);
    CHECK(result.find("here") == nullptr);
    for (std::size_t i = 1; i < result.symbols.size(); ++i)
        CHECK(result.symbols[i - 1].name < result.symbols[i].name);
}

TEST_CASE("labels are told apart by case, instructions are not", "[asm]") {
    const AsmResult result = assembled("Top: NOP\ntop: Mov EAX, Top\n DB 1");
    CHECK(to_hex(result.bytes) == "90 b8 00 00 00 00 01");
    CHECK(value_of(result, "top") == 1);
}

TEST_CASE("equ takes names defined later, $ and predefined constants", "[asm]") {
    AsmOptions options;
    options.symbols = {{"PAGE", 0x1000}};
    options.origin = 0x100;
    const AsmResult result = assembled(R"(
last equ msg_end - 1
     dw last, length, PAGE
msg  db 'hello'
msg_end:
length equ $ - msg
)",
                                       options);
    CHECK(to_hex(result.bytes) == "0a 01 05 00 00 10 68 65 6c 6c 6f");
    CHECK(value_of(result, "length") == 5);
    CHECK(result.find("PAGE") == nullptr);
}

TEST_CASE("org sets the origin, then fills with zeros", "[asm]") {
    const AsmResult result = assembled("start: org 0x7c00\n db 1\n org 0x7c04\nend: db $-$$\n");
    CHECK(result.origin == 0x7c00);
    CHECK(to_hex(result.bytes) == "01 00 00 00 04");
    CHECK(value_of(result, "start") == 0x7c00);
    CHECK(value_of(result, "end") == 0x7c04);
    AsmOptions options;
    options.origin = 0x1000;
    CHECK(assembled("nop", options).origin == 0x1000);
    CHECK(bytes_of("nop\n org 0x1004\n db 1", options) == "90 00 00 00 01");
}

TEST_CASE("align, res and times", "[asm]") {
    CHECK(bytes_of("db 1\n align 4\n db 2") == "01 90 90 90 02");
    CHECK(bytes_of("db 1\n align 4, db 0xcc\n db 2") == "01 cc cc cc 02");
    CHECK(bytes_of("db 1\n align 4, resb 1\n db 2") == "01 00 00 00 02");
    CHECK(bytes_of("db 1\n align 1\n db 2") == "01 02");
    CHECK(bytes_of("resb 2\n resw 1\n db 1") == "00 00 00 00 01");
    CHECK(bytes_of("resd 1\n db 1\n resq 1") == "00 00 00 00 01 00 00 00 00 00 00 00 00");
    CHECK(bytes_of("times 3 db 1, 2") == "01 02 01 02 01 02");
    CHECK(bytes_of("a: nop\n times 4-($-$$) db 7") == "90 07 07 07");
    CHECK(bytes_of("times 3 db $") == "00 00 00");
    CHECK(bytes_of("times 2 jmp $") == "eb fe eb fc");
    CHECK(bytes_of("here: times 2 jmp here") == "eb fe eb fc");
    CHECK(bytes_of("times 0 ud2").empty());
    CHECK(bytes_of("buf times 2 db 5\n db buf") == "05 05 00");
}

TEST_CASE("bits switches the mode", "[asm]") {
    CHECK(bytes_of("bits 16\n mov eax, 1\n bits 32\n mov eax, 1\n bits 64\n push rax") ==
          "66 b8 01 00 00 00 b8 01 00 00 00 50");
    CHECK(bytes_of("[bits 16]\n mov ax, [bx+si]") == "8b 00");
    AsmOptions options;
    options.mode = AsmMode::bits32;
    CHECK(bytes_of("inc eax", options) == "40");
}

TEST_CASE("an address of labels is relative in 64-bit mode, of numbers absolute", "[asm]") {
    const auto of = [&](std::string_view line) { return meaning(std::string(line) + "\ndata:"); };
    CHECK(of("mov ecx, [data]") == "mov ecx, dword ptr [0x6]");
    CHECK(bytes_of("mov ecx, [data]\ndata:") == "8b 0d 00 00 00 00");
    CHECK(bytes_of("mov ecx, [data+4]\ndata:") == "8b 0d 04 00 00 00");
    CHECK(bytes_of("mov ecx, [abs data]\ndata:") == "8b 0c 25 07 00 00 00");
    CHECK(bytes_of("default abs\nmov ecx, [data]\ndata:") == "8b 0c 25 07 00 00 00");
    CHECK(bytes_of("default abs\nmov ecx, [rel data]\ndata:") == "8b 0d 00 00 00 00");
    CHECK(bytes_of("mov ecx, [0x1234]") == "8b 0c 25 34 12 00 00");
    CHECK(bytes_of("mov eax, [0x1234]") == "8b 04 25 34 12 00 00");
    CHECK(bytes_of("mov ecx, [rel 0x1234]") == "8b 0d 2e 12 00 00");
    CHECK(bytes_of("mov ecx, [fs:data]\ndata:") == "64 8b 0c 25 08 00 00 00");
    CHECK(bytes_of("mov ecx, gs:[data]\ndata:") == "65 8b 0c 25 08 00 00 00");
    CHECK(bytes_of("mov ecx, [rax+data]\ndata:") == "8b 48 03");
    CHECK(bytes_of("k equ 0x1234\nmov ecx, [k]") == "8b 0c 25 34 12 00 00");
    CHECK(bytes_of("mov ecx, [end-start]\nstart: nop\nend:") == "8b 0c 25 01 00 00 00 90");
    CHECK(bytes_of("a: mov byte [a], 5") == "c6 05 f9 ff ff ff 05");
    CHECK(bytes_of("bits 32\n mov ecx, [data]\ndata:") == "8b 0d 06 00 00 00");
    AsmOptions options;
    options.origin = 0xfffff80000000000;
    CHECK(bytes_of("lea rax, [data]\ndata:", options) == "48 8d 05 00 00 00 00");
    CHECK(bytes_of("mov rax, data\ndata:", options) == "48 b8 0a 00 00 00 00 f8 ff ff");
}

TEST_CASE("a 64-bit mov keeps its register and takes the shortest number", "[asm]") {
    CHECK(bytes_of("mov rax, 1") == "48 c7 c0 01 00 00 00");
    CHECK(bytes_of("mov rax, -1") == "48 c7 c0 ff ff ff ff");
    CHECK(bytes_of("mov rax, 0xffffffff") == "48 b8 ff ff ff ff 00 00 00 00");
    CHECK(bytes_of("mov eax, 0xffffffff") == "b8 ff ff ff ff");
    CHECK(meaning("mov rax, 0x123456789abcdef0") == "mov rax, 0x123456789abcdef0");
    CHECK(meaning("and rax, 0xfffffffffffffff0") == "and rax, 0xfffffffffffffff0");
}

TEST_CASE("jumps are as short as their targets allow", "[asm]") {
    CHECK(bytes_of("jmp a\na:") == "eb 00");
    CHECK(bytes_of("jmp near a\na:") == "e9 00 00 00 00");
    CHECK(bytes_of("je near a\na:") == "0f 84 00 00 00 00");
    CHECK(bytes_of("call a\na:") == "e8 00 00 00 00");
    const auto length = [](int distance) {
        const std::string text = "jmp a\n times " + std::to_string(distance) + " nop\na:";
        return assembled(text).bytes.size() - static_cast<std::size_t>(distance);
    };
    CHECK(length(127) == 2);
    CHECK(length(128) == 5);
    CHECK(assembled("a: times 126 nop\n jmp a").bytes.size() == 128);
    CHECK(assembled("a: times 127 nop\n jmp a").bytes.size() == 132);
    CHECK(assembled("bits 16\n jmp a\n times 128 nop\na:").bytes.size() == 131);
    // The third jump is too long, which makes the second too long, and that the first.
    const AsmResult chain =
        assembled("jmp a\n jmp b\n times 124 nop\na: nop\n jmp c\nb: times 128 nop\nc: nop");
    CHECK(chain.ok());
    CHECK(to_hex(chain.bytes).substr(0, 29) == "e9 81 00 00 00 e9 82 00 00 00");
}

TEST_CASE("a long chain of jumps that push each other out of reach settles", "[asm]") {
    std::string text;
    constexpr int kJumps = 200;
    for (int i = 0; i < kJumps; ++i)
        text += "a" + std::to_string(i) + ": jmp a" + std::to_string(i + 62) + "\n db 0\n";
    for (int i = kJumps; i < kJumps + 62; ++i) text += "a" + std::to_string(i) + ": db 0, 0\n";
    const AsmResult result = assembled(text);
    // Every jump goes where it says.
    for (int i = 0; i < kJumps; ++i) {
        const u64 from = value_of(result, "a" + std::to_string(i));
        const u64 target = value_of(result, "a" + std::to_string(i + 62));
        const auto code = std::span(result.bytes).subspan(from);
        const std::string text_of_jump = disassemble(code, from, AsmMode::bits64);
        std::string hex;
        for (u64 rest = target; rest != 0; rest >>= 4)
            hex.insert(hex.begin(), "0123456789abcdef"[rest & 15]);
        CHECK(text_of_jump == "jmp 0x" + hex);
    }
}

TEST_CASE("the source map has every instruction and data item", "[asm]") {
    AsmOptions options;
    options.origin = 0x1000;
    const AsmResult result = assembled(R"(start:
    mov eax, 1      ; comment
    db 1, 'abc'
    align 16
    times 2 nop
    fstcw [rdi]
    resb 4
    dq start)",
                                       options);
    std::string map;
    for (const AsmLine& line : result.lines)
        map += std::to_string(line.address - 0x1000) + ":" + std::to_string(line.line) + "/" +
               std::to_string(line.length) + " ";
    CHECK(map == "0:2/5 5:3/1 6:3/3 16:5/1 17:5/1 18:6/1 19:6/2 25:8/8 ");
    // A long string is cut into items whose length fits.
    const AsmResult text = assembled("db '" + std::string(300, 'x') + "'");
    REQUIRE(text.lines.size() == 2);
    CHECK(text.lines[1].address == 255);
    CHECK(text.lines[1].length == 45);
}

TEST_CASE("the operand notations mean what they say", "[asm]") {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"mov eax, [fs:0x28]", "mov eax, dword ptr fs:[0x28]"},
        {"mov eax, fs:[0x28]", "mov eax, dword ptr fs:[0x28]"},
        {"mov dword ptr [rdi], 5", "mov dword ptr [rdi], 0x5"},
        {"mov [rdi], dword 5", "mov dword ptr [rdi], 0x5"},
        {"mov rax, [rbx+rcx*4-8]", "mov rax, qword ptr [rbx+rcx*4-0x8]"},
        {"mov rax, [4*rcx+rbx]", "mov rax, qword ptr [rbx+rcx*4]"},
        {"mov rax, [rbx+2*4+rcx*(1+1)]", "mov rax, qword ptr [rbx+rcx*2+0x8]"},
        {"mov rax, [rax*5]", "mov rax, qword ptr [rax+rax*4]"},
        {"mov rax, [rcx+rsp]", "mov rax, qword ptr [rsp+rcx*1]"},
        {"fs lodsb", "fs lodsb"},
        {"fld st(3)", "fld st3"},
        {"fld st", "fld st0"},
        {"fadd st1", "fadd st0, st1"},
        {"fadd to st1", "fadd st1, st0"},
        {"fadd", "faddp st1, st0"},
        {"fld tword [rdi]", "fld tbyte ptr [rdi]"},
        {"imul eax, 5", "imul eax, eax, 0x5"},
        {"test eax, [rdi]", "test dword ptr [rdi], eax"},
        {"mov ds, eax", "mov ds, ax"},
        {"push word 5", "push 0x5"},
        {"int3", "int3"},
        {"iret", "iretd"},
        {"iretq", "iretq"},
        {"pushf", "pushfq"},
        {"retf", "ret far"},
        {"repz cmpsb", "repe cmpsb"},
        {"rep scasb", "repe scasb"},
        {"lock inc qword [rdi]", "lock inc qword ptr [rdi]"},
        {"movsd xmm0, [rdi]", "movsd xmm0, qword ptr [rdi]"},
        {"movsd", "movsd"},
        {"cmpltsd xmm0, xmm1", "cmpsd xmm0, xmm1, 0x1"},
        {"vmrun", "vmrun rax"},
        {"mov cr3, rax", "mov cr3, rax"},
        {"jmp far [rdi]", "jmp far tbyte ptr [rdi]"},
        {"jmp far dword [rdi]", "jmp far fword ptr [rdi]"},
        {"mov rax, [0x1122334455667788]", "mov rax, qword ptr [0x1122334455667788]"},
    };
    for (const auto& [text, expected] : cases) {
        INFO(text);
        CHECK(meaning(text) == expected);
    }
    CHECK(bytes_of("mov cr3, rax") == "0f 22 d8");
    CHECK(bytes_of("fs lodsb") == "64 ac");
    CHECK(bytes_of("push word 5") == "66 6a 05");
    CHECK(bytes_of("fstcw [rdi]") == "9b d9 3f");
    CHECK(meaning("jmp 0x08:0x1234", AsmMode::bits16) == "jmp far 0x0008:0x1234");
    CHECK(meaning("call dword 0x08:0x12345678", AsmMode::bits16) == "call far 0x0008:0x12345678");
}

TEST_CASE("the same text gives the same result", "[asm]") {
    const std::string_view text = "a: jmp b\n times 200 db 1\nb: mov eax, [a]\nc equ b-a";
    const AsmResult first = assembled(text);
    const AsmResult second = assembled(text);
    CHECK(first.bytes == second.bytes);
    CHECK(first.lines.size() == second.lines.size());
    CHECK(value_of(first, "c") == value_of(second, "c"));
}

}  // namespace vtlsim::sim
