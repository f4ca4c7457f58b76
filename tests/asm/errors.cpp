// Every kind of mistake: the exact place and words of its message, and that no text can crash,
// hang or fill the memory.
// Run: build/<preset>/vtlsim_tests "[asm]"
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "sim/asm/assembler.hpp"
#include "tests/catch.hpp"

namespace vtlsim::sim {
namespace {

// All messages for a text, one a line.
std::string errors_of(std::string_view text, const AsmOptions& options = {}) {
    const AsmResult result = assemble(text, options);
    CHECK(result.ok() == result.errors.empty());
    if (!result.ok()) {
        CHECK(result.bytes.empty());
        CHECK(result.lines.empty());
    }
    std::string messages;
    for (const AsmError& error : result.errors) {
        if (!messages.empty()) messages += "\n";
        messages +=
            std::to_string(error.line) + ":" + std::to_string(error.column) + ": " + error.message;
    }
    return messages;
}

struct BadText {
    std::string_view text;
    std::string_view expected;
};

const std::vector<BadText> kBadTexts = {
    // Reading.
    {"db 'abc", "1:4: the string is not closed"},
    {"db `\\q`", R"(1:5: unknown escape; known are \n \r \t \0 \e \\ \' \" \` \xHH)"},
    {"mov eax, {k1}", "1:10: unexpected character '{'"},
    {"mov eax, \x01", "1:10: unexpected character 0x01"},
    {"mov eax, 0x1g", "1:10: '0x1g' is not a number of at most 64 bits"},
    {"dq 0x10000000000000000", "1:4: '0x10000000000000000' is not a number of at most 64 bits"},
    {"dd 1.2.3", "1:7: unexpected '.3' at the end of the line"},
    {"dd 1.e", "1:4: '1.e' is not a floating-point number"},
    {"db 1.5", "1:4: a floating-point number can only be an item of dd or dq"},
    {"mov eax, 1.5", "1:10: a floating-point number can only be an item of dd or dq"},
    // Lines.
    {"mvo rax, 1", "1:1: unknown instruction 'mvo'; did you mean 'mov'?"},
    {"  tiems 3 nop", "1:3: unknown instruction 'tiems'; did you mean 'times'?"},
    {"label nop", "1:1: unknown instruction 'label'"},
    {"nop nop", "1:5: undefined symbol 'nop'"},
    {"mov eax, 1 2", "1:12: unexpected '2' at the end of the line"},
    {"5", "1:1: an instruction or directive is expected, not '5'"},
    {"%define x 1", "1:1: preprocessor lines are not supported"},
    {"section .text", "1:1: section is not supported: the text is one flat piece of memory"},
    {"rep", "1:4: rep needs an instruction after it"},
    {"[bits 64", "1:9: ']' expected"},
    {"bits 48", "1:6: bits takes 16, 32 or 64"},
    {"default fast", "1:9: default takes rel or abs"},
    // Names.
    {"jmp lopo\nloop1: nop\nlop: nop", "1:5: undefined symbol 'lopo'; did you mean 'lop'?"},
    {"mov eaxx, 1", "1:5: undefined symbol 'eaxx'; did you mean 'eax'?"},
    {"mov rax, [nowhere+4]", "1:11: undefined symbol 'nowhere'"},
    {"a: nop\na: nop", "2:1: 'a' is already defined in line 1"},
    {"a equ 1\na: nop", "2:1: 'a' is already defined in line 1"},
    {"eax: nop", "1:1: register eax cannot be the name of a label"},
    {".a: nop", "1:1: local label '.a' has no label before it"},
    {"equ 5", "1:1: equ needs a name in front of it"},
    {"x equ x+1", "1:7: 'x' is defined by itself"},
    {"x equ y\ny equ z\nz equ x", "3:7: 'x' is defined by itself"},
    {"n equ", "1:6: an expression is missing here"},
    // Expressions.
    {"db 1/0", "1:5: division by zero"},
    {"db 5 %% (1-1)", "1:6: division by zero"},
    {"db (1+2", "1:8: ')' expected"},
    {"db 1+", "1:6: an expression is missing here"},
    {"db *", "1:4: an expression cannot start with '*'"},
    {"dq 'abcdefghi' + 1", "1:4: a character constant has at most 8 characters"},
    {"mov eax, ebx+1", "1:13: unexpected '+' at the end of the line"},
    {"mov eax, 1+ebx", "1:12: register ebx cannot be part of an expression here"},
    {"mov eax, [rip+4]", "1:11: write [rel label] for an address relative to rip"},
    {"db 256", "1:4: 0x100 does not fit in 8 bits"},
    {"dw 1, -32769", "1:7: 0xffffffffffff7fff does not fit in 16 bits"},
    // Layout.
    {"times n nop\nn equ 3", "1:7: this number cannot depend on a name defined further down"},
    {"times b-a nop\na: nop\nb:", "1:7: this number cannot depend on a name defined further down"},
    {"resb e\ne:", "1:6: this number cannot depend on a name defined further down"},
    {"n equ e\ntimes n nop\ne:", "2:7: this number cannot depend on a name defined further down"},
    {"org 0x1000\nnop\norg 0x1000", "3:5: org cannot go back: the address is already 0x1001"},
    {"nop\norg -1", "2:5: the text assembles to more than 1048576 bytes"},
    {"align 3", "1:7: align takes a power of two up to 0x40000000"},
    {"align 8, nop", "1:10: the padding of align is 'db' and a byte, or 'resb 1'"},
    {"times 2 times 2 nop", "1:9: times cannot be nested"},
    {"times 2 align 4", "1:9: align cannot be repeated with times"},
    {"times 2", "1:8: times needs something to repeat"},
    {"jmp short a\ntimes 200 nop\na:", "1:5: the target of jmp is not within -128 to 127 bytes"},
    {"jmp 0x7fffffffffff", "1:5: the target of jmp is not within 2 GiB"},
    {"loop a\ntimes 200 nop\na:", "1:6: the target of loop is not within -128 to 127 bytes"},
    // Operands.
    {"mov eax, cx", "1:1: no form of mov takes eax, cx"},
    {"mov [rdi], [rsi]", "1:1: no form of mov takes memory, memory"},
    {"mov", "1:1: mov needs operands"},
    {"int3 5", "1:1: no form of int3 takes a number"},
    {"mov [rdi], 5",
     "1:5: operation size not specified: write byte, word, dword or qword before [ ]"},
    {"inc [rdi]", "1:5: operation size not specified: write byte, word, dword or qword before [ ]"},
    {"movzx eax, [rdi]",
     "1:12: operation size not specified: write byte, word, dword or qword before [ ]"},
    {"fld [rdi]", "1:5: operation size not specified: write byte, word, dword or qword before [ ]"},
    {"movups xmm0, qword [rdi]", "1:14: movups cannot have qword memory here"},
    {"mov byte rax, 5", "1:5: rax does not have 8 bits"},
    {"mov al, 0x1ff", "1:9: number 0x1ff does not fit in mov with these operands"},
    {"mov byte [rdi], 0x1000", "1:17: number 0x1000 does not fit in mov with these operands"},
    {"add rax, 0x80000000", "1:10: number 0x80000000 does not fit in add with these operands"},
    {"push 0xffffffff", "1:6: number 0xffffffff does not fit in push with these operands"},
    {"int 256", "1:5: number 0x100 does not fit in int with these operands"},
    {"mov ebx, [0xfee00000]",
     "1:10: address 0xfee00000 does not fit in a signed 32-bit displacement"},
    {"mov eax, [rax*6]", "1:10: an index register can be multiplied by 1, 2, 4 or 8 only"},
    {"mov eax, [rax-rbx]", "1:10: an index register can be multiplied by 1, 2, 4 or 8 only"},
    {"mov eax, [rax+rbx+rcx]", "1:18: an address has at most two registers"},
    {"mov eax, [rax&1]", "1:14: a register can only be added, or multiplied by a number"},
    {"mov eax, [rel rax]", "1:10: an address with a register cannot be relative"},
    {"mov eax, [dword rax+4]",
     "1:10: the size of a displacement cannot be chosen; it is the shortest"},
    {"mov eax, [rax", "1:14: ']' expected"},
    {"mov eax, fs:4", "1:13: '[' expected after fs:"},
    {"fld st(9)", "1:8: st() takes a number from 0 to 7"},
    {"jmp far here\nhere:", "1:5: a far target is written segment:offset"},
    {"mov a, b, c, d, e, f", "1:20: an instruction has at most 5 operands"},
    {"lock nop", "1:6: nop cannot have this prefix or segment; write it with db if meant"},
    {"rep mov al, bl", "1:5: mov cannot have this prefix or segment; write it with db if meant"},
    {"sysexitq", "1:1: sysexitq cannot be given this operand or address size"},
    {"o16 ret", "1:5: ret cannot be given this operand or address size"},
    {"a32 jmp $", "1:5: jmp cannot be given this operand or address size"},
    {"pusha", "1:1: pusha does not exist in 64-bit mode"},
    {"push ds", "1:1: push with these operands does not exist in 64-bit mode"},
    {"bits 32\nmov rax, 1", "2:1: mov with these operands does not exist in 32-bit mode"},
    {"bits 16\nmov ecx, [dword 0x12345]",
     "2:10: an address of this size needs a register in 16-bit mode"},
    {"bits 16\nmov ax, [0x12345]", "2:9: address 0x12345 does not fit in 16 bits"},
    {"xchg eax, eax", "1:1: no form of xchg takes eax, eax"},
};

}  // namespace

TEST_CASE("every mistake has its place and its words", "[asm]") {
    for (const BadText& bad : kBadTexts) {
        INFO(bad.text);
        CHECK(errors_of(bad.text) == bad.expected);
    }
}

TEST_CASE("all mistakes of a text are reported at once, in order", "[asm]") {
    CHECK(errors_of("start: mvo rax, 1\n jmp start\n jmp strat\n db 1/0, 256\n mov eax, cx") ==
          "1:8: unknown instruction 'mvo'; did you mean 'mov'?\n"
          "3:6: undefined symbol 'strat'; did you mean 'start'?\n"
          "4:6: division by zero\n"
          "4:10: 0x100 does not fit in 8 bits\n"
          "5:2: no form of mov takes eax, cx");
}

TEST_CASE("a predefined constant cannot be defined again", "[asm]") {
    AsmOptions options;
    options.symbols = {{"MSR_EFER", 0xc0000080}, {"", 5}};
    CHECK(errors_of("MSR_EFER equ 5", options) ==
          "1:1: 'MSR_EFER' is already a predefined constant");
    CHECK(errors_of("mov ecx, MSR_EFRE", options) ==
          "1:10: undefined symbol 'MSR_EFRE'; did you mean 'MSR_EFER'?");
}

TEST_CASE("the number of errors is bounded", "[asm]") {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "mvo rax, 1\n";
    CHECK(assemble(text, {}).errors.size() == kMaxAsmErrors);
    text.clear();
    for (int i = 0; i < 1000; ++i) text += "mvo eax\n mov eax, nowhere\n";
    CHECK(assemble(text, {}).errors.size() == kMaxAsmErrors);
}

TEST_CASE("texts that ask for too much end quickly with an error", "[asm]") {
    const std::string_view too_large = "the text assembles to more than 1048576 bytes";
    for (const std::string_view text :
         {"times 0x7fffffffffffffff nop", "resb 0x7fffffffffffffff", "resq 0xffffffffffffffff",
          "times -1 db 0", "align 0x40000000\n nop\n align 0x40000000", "times 1000000 dq 0",
          "times 1000000 resb 1000000", "org 5\n db 0\n org 0x7fffffffffffffff"}) {
        INFO(text);
        const AsmResult result = assemble(text, {});
        REQUIRE(result.errors.size() == 1);
        CHECK(result.errors[0].message == too_large);
    }
    AsmOptions small;
    small.max_bytes = 4;
    CHECK(assemble("dd 1", small).ok());
    CHECK(errors_of("dd 1\n nop", small) == "2:2: the text assembles to more than 4 bytes");

    const auto first_error = [](const std::string& text) {
        const AsmResult result = assemble(text, {});
        return result.errors.empty() ? "" : result.errors[0].message;
    };
    const std::string deep = "the expression is nested more than 64 deep";
    CHECK(first_error("db " + std::string(100000, '(') + "1") == deep);
    CHECK(first_error("db " + std::string(100000, '-') + "1") == deep);
    CHECK(first_error("mov eax, [" + std::string(100000, '(') + "1") == deep);
    CHECK(first_error(std::string(1000, 'x') + ": nop") == "a name is longer than 255 bytes");

    std::string sum = "dq 1";
    for (int i = 0; i < 100000; ++i) sum += "+1";
    CHECK(assemble(sum, {}).ok());

    std::string names;
    for (int i = 0; i < 10000; ++i)
        names += "e" + std::to_string(i) + " equ e" + std::to_string(i + 1) + "\n";
    CHECK(first_error(names + "e10000 equ 1\n") ==
          "'e64' needs too many other names defined after it");

    std::string items = "times 1000000 db ''";
    for (int i = 0; i < 10000; ++i) items += ", ''";
    CHECK(first_error(items) == "the text takes too long to lay out");
    CHECK(first_error("times 1000000 mov eax, [$+nowhere]") == "undefined symbol 'nowhere'");
}

TEST_CASE("addresses that never settle are an error", "[asm]") {
    // The displacement is large exactly when the instruction is short.
    CHECK(errors_of("a: mov eax, [rbx + (6-(b-a))*100]\nb: nop") ==
          "2:1: the addresses do not settle from here on");
}

// Damages a valid text in thousands of ways. The seed is fixed.
TEST_CASE("no damaged text crashes the assembler", "[asm]") {
    const std::string valid = R"(
start:  mov rax, [rel data+8*(2-1)] ; comment
.loop:  lock inc dword [fs:rdi+rcx*4-0x10]
        jne .loop
        times 3 db 1, 'abc', "d", -1
count   equ ($ - start) / 2 << 1
        align 16, db 0xcc
        resw count & 3
        bits 32
        jmp 0x08:0x1234
        fld tword [0x1000]
        bits 64
data:   dq 0x123456789abcdef0, 1010b, 1.5, start
        call far [data]
        rep movsb
        org 0x2000
        cmpeqsd xmm0, xmm1
)";
    REQUIRE(assemble(valid, {}).ok());
    constexpr std::string_view kPieces[] = {
        "[",   "]",      "(",     ")",    "+",    "-",    "*",      ":",     ",",
        "'",   "$",      "$$",    "~",    "%",    "0x",   "times ", "equ ",  "org ",
        "rax", "rsp",    "st(",   "byte", "rel ", "far ", "lock ",  "resb ", "align ",
        "-1",  "999999", "start", ".",    "\n",   "\0",   ";"};
    std::mt19937 random(20240601);
    const auto below = [&random](std::size_t limit) { return random() % limit; };
    AsmOptions options;
    options.max_bytes = 1 << 16;
    for (int round = 0; round < 4000; ++round) {
        std::string text = valid;
        for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
            const std::size_t at = below(text.size());
            switch (below(4)) {
                case 0:
                    text.erase(at, 1 + below(5));
                    break;
                case 1:
                    text[at] = static_cast<char>(below(256));
                    break;
                case 2:
                    text.insert(at, kPieces[below(std::size(kPieces))]);
                    break;
                default:
                    text.insert(at, text.substr(below(text.size()), below(40)));
            }
        }
        const AsmResult result = assemble(text, options);
        bool in_text = true;
        for (const AsmError& error : result.errors)
            in_text = in_text && error.line >= 1 && error.column >= 1 && !error.message.empty();
        if (!in_text || result.bytes.size() > options.max_bytes) {
            INFO(text);
            FAIL("round " << round);
        }
    }
    SUCCEED();
}

}  // namespace vtlsim::sim
