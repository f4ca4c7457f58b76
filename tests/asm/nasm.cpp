// The same text assembled by us and by nasm must mean the same instructions. Encodings may have
// different lengths, so both outputs are decoded and compared instruction by instruction, and
// addresses in the code are compared as the number of the instruction they point at.
// Run: build/<preset>/vtlsim_tests "[asm][nasm]"
#include <algorithm>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "runner/format.hpp"
#include "sim/asm/assembler.hpp"
#include "tests/asm/nasm_corpus.hpp"
#include "tests/asm/nasm_peer.hpp"
#include "tests/catch.hpp"

namespace vtlsim::sim {
namespace {

// Every line `pattern` stands for.
void expand(std::string_view pattern, std::vector<std::string>& lines) {
    const auto open = pattern.find('{');
    if (open == std::string_view::npos) {
        lines.emplace_back(pattern);
        return;
    }
    const auto close = pattern.find('}', open);
    REQUIRE(close != std::string_view::npos);
    std::string_view choices = pattern.substr(open + 1, close - open - 1);
    for (;;) {
        const auto bar = choices.find('|');
        std::string line(pattern.substr(0, open));
        line += choices.substr(0, bar);
        line += pattern.substr(close + 1);
        expand(line, lines);
        if (bar == std::string_view::npos) return;
        choices.remove_prefix(bar + 1);
    }
}

std::vector<std::string> expand_all(std::string_view corpus) {
    std::vector<std::string> lines;
    std::istringstream stream{std::string(corpus)};
    for (std::string line; std::getline(stream, line);)
        if (!line.empty()) expand(line, lines);
    return lines;
}

std::vector<std::string> with_memory(const std::vector<std::string>& lines,
                                     const std::vector<std::string>& addresses) {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        std::string line = lines[i];
        const auto at = line.find('M');
        if (at != std::string::npos) line.replace(at, 1, addresses[i % addresses.size()]);
        result.push_back(line);
    }
    return result;
}

struct Stream {
    std::vector<Instruction> list;
    std::map<u64, std::size_t> index;  // by address
    u64 end = 0;
};

Stream decode_all(const std::vector<u8>& bytes, AsmMode mode) {
    Stream stream;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto decoded = decode(std::span(bytes).subspan(at), mode, at);
        REQUIRE(decoded);
        stream.index[at] = stream.list.size();
        stream.list.push_back(*decoded);
        at += decoded->instruction.length;
    }
    stream.end = bytes.size();
    stream.index[stream.end] = stream.list.size();
    return stream;
}

// An address of the code as text that does not depend on the lengths of instructions.
std::string place(const Stream& stream, u64 address) {
    if (address > stream.end) return "end+" + std::to_string(address - stream.end);
    const auto found = stream.index.find(address);
    return found == stream.index.end() ? "inside" : "#" + std::to_string(found->second);
}

void compare_with_nasm(AsmMode mode, const std::vector<std::string>& lines) {
    constexpr std::string_view kBits[] = {"bits 16\n", "bits 32\n", "bits 64\n"};
    std::string text(kBits[static_cast<std::size_t>(mode)]);
    text += "default rel\nstart:\n";
    for (const std::string& line : lines) text += line + "\n";
    text += "finish:\n";

    const AsmResult ours = assemble(text, {});
    for (const AsmError& error : ours.errors) {
        UNSCOPED_INFO("line " << error.line << " '" << (error.line < 4 ? "" : lines[error.line - 4])
                              << "': " << error.message);
    }
    REQUIRE(ours.ok());
    const NasmResult nasm = run_nasm(text);
    for (const auto& [line, error] : nasm.errors) UNSCOPED_INFO("nasm: " << line << ": " << error);
    REQUIRE(nasm.errors.empty());
    const Stream a = decode_all(ours.bytes, mode);
    const Stream b = decode_all(nasm.bytes, mode);
    REQUIRE(a.list.size() == ours.lines.size());
    for (std::size_t i = 0; i < std::min(a.list.size(), b.list.size()); ++i) {
        INFO("line '" << lines[ours.lines[i].line - 4] << "', ours "
                      << runner::bytes_text(a.list[i].bytes) << ", nasm "
                      << runner::bytes_text(b.list[i].bytes));
        CHECK(meaning(a.list[i], [&](u64 to) { return place(a, to); }) ==
              meaning(b.list[i], [&](u64 to) { return place(b, to); }));
    }
    CHECK(a.list.size() == b.list.size());
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

}  // namespace

TEST_CASE("16-bit code means what nasm makes of it", "[asm][nasm]") {
    if (!have_nasm()) VTLSIM_SKIP("nasm is not installed");
    const std::vector<std::string> addresses = {"[bx]",       "[bp+si+4]", "[di-0x1234]",
                                                "[es:bx+di]", "[0x1234]",  "[fs:eax+ecx*4]",
                                                "[esp+0x10]", "[cs:bp]"};
    const auto memory = with_memory(expand_all(kCorpusMemory), addresses);
    compare_with_nasm(AsmMode::bits16, expand_all(kCorpusAll));
    compare_with_nasm(AsmMode::bits16, memory + expand_all(kCorpus16));
}

TEST_CASE("32-bit code means what nasm makes of it", "[asm][nasm]") {
    if (!have_nasm()) VTLSIM_SKIP("nasm is not installed");
    const std::vector<std::string> addresses = {"[ebx]",    "[ebp-4]",      "[esp+ecx*2+0x1234]",
                                                "[fs:eax]", "[0xfee00000]", "[esi*8-1]",
                                                "[bx+si]"};
    const auto memory = with_memory(expand_all(kCorpusMemory), addresses);
    compare_with_nasm(AsmMode::bits32, expand_all(kCorpusAll));
    compare_with_nasm(AsmMode::bits32, memory + expand_all(kCorpus32));
}

TEST_CASE("64-bit code means what nasm makes of it", "[asm][nasm]") {
    if (!have_nasm()) VTLSIM_SKIP("nasm is not installed");
    const std::vector<std::string> addresses = {"[rbx]",      "[rbp-4]",      "[rsp+rcx*2+0x1234]",
                                                "[gs:rax]",   "[abs 0x1234]", "[r12*8-1]",
                                                "[finish+4]", "[r13+r9]",     "[fs:0x28]"};
    std::vector<std::string> memory;
    // Not in 64-bit mode: les and lds, a 16-bit near jump.
    for (const std::string& line : with_memory(expand_all(kCorpusMemory), addresses)) {
        const std::string word = line.substr(0, line.find(' '));
        const bool word_jump =
            (word == "jmp" || word == "call") && line.find(" word ") != std::string::npos;
        if (word != "les" && word != "lds" && !word_jump) memory.push_back(line);
    }
    compare_with_nasm(AsmMode::bits64, expand_all(kCorpusAll));
    compare_with_nasm(AsmMode::bits64, memory + expand_all(kCorpus64));
}

namespace {

void same_bytes(const std::string& text) {
    INFO(text);
    const AsmResult ours = assemble(text, {});
    for (const AsmError& e : ours.errors)
        UNSCOPED_INFO(e.line << ":" << e.column << ": " << e.message);
    REQUIRE(ours.ok());
    const NasmResult nasm = run_nasm(text);
    for (const auto& [line, error] : nasm.errors) UNSCOPED_INFO("nasm: " << line << ": " << error);
    REQUIRE(nasm.errors.empty());
    CHECK(runner::bytes_text(ours.bytes) == runner::bytes_text(nasm.bytes));
}

// Jumps forth and back over random distances around the reach of the short form.
std::string random_jumps(unsigned bits, u32 seed) {
    const auto next = [&seed](u32 below) {
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % below;
    };
    constexpr std::string_view kJumps[] = {"jmp", "jz", "jnbe", "call", "jmp near", "jno"};
    std::ostringstream text;
    text << "bits " << bits << "\norg 0x100\n";
    constexpr u32 kLabels = 60;
    for (u32 label = 0; label < kLabels; ++label) {
        text << "l" << label << ":\n";
        for (u32 i = next(4); i > 0; --i) {
            const u32 target = std::min(kLabels - 1, label + next(7) - std::min(label, 3U));
            text << kJumps[next(6)] << " l" << target << "\n";
        }
        text << "times " << next(60) << " nop\n";
    }
    return text.str();
}

}  // namespace

TEST_CASE("Jumps are relaxed as nasm does", "[asm][nasm]") {
    if (!have_nasm()) VTLSIM_SKIP("nasm is not installed");
    for (const unsigned bits : {16U, 32U, 64U})
        for (const u32 seed : {1U, 2U, 3U, 4U}) same_bytes(random_jumps(bits, seed));
}

TEST_CASE("Directives, labels and expressions give nasm's bytes", "[asm][nasm]") {
    if (!have_nasm()) VTLSIM_SKIP("nasm is not installed");
    same_bytes(R"(bits 64
org 0x7c00
start:  jmp .end
.data   db 1, 'two', "3", `4\n\t\x41\0`, -1
.word:  dw 0x1234, 'ab', 'abc', later, -2
        dd 0A5h, 0b1010_0101, 0o17, 17q, $ - $$, 1.5, -2.25e3, 'abcde'
        dq 0x123456789abcdef0, later - start, 3.141592653589793, start.word, 1e-3
        align 16
.end:   resb 3
        resw 2
        resd 1
        resq 1
        times 3 db 0xaa
        times 4 dw $ - start
        times 510 - ($ - $$) db 0
        dw 0xaa55
size    equ $ - start
other:
.data:  dd size, size * 3 + 1, (size | 0xf) ^ 0x33, ~size, -size, size % 7, size / 7, 1 << 5, 0x100 >> 3
        dd (1 + 2) * 3 - 4, 7 & 12 | 1, 2 * 3 + 4 * 5, 10 - 3 - 2, 1 << 2 + 1, - -5, +3, 7 // 2, -7 // 2, -7 %% 4
        dq start.data, other.data, .data
later   equ 0x55 + forward
forward equ 3
)");
    same_bytes(R"(bits 16
org 0x100
        mov ax, msg
        mov dx, msg.end - msg
        mov [es:msg + 2], ax
        jmp 0x08:start32
        jmp dword 0x08:start32
        call 0x10:0x20
        call far [bx]
        o32 iret
        iret
        iretd
        o32 retf
        lock inc word [bx]
        rep movsb
        a32 rep stosd
        cs lodsw
        push dword 5
        push word 5
msg:    db 'text', 13, 10
.end:
bits 32
start32:
        mov eax, [msg + ecx*4]
        jmp 0x08:start32
        call far [eax]
        iret
        iretw
        retf
        o16 retf
        repne scasb
        fs mov eax, [0x10]
        mov eax, [gs:ebx + 4]
        jecxz start32
        loop start32
)");
    same_bytes(R"(bits 64
default rel
org 0x1000
        mov eax, [value]
        mov eax, [rel value]
        mov eax, [abs 0x1234]
        lea rsi, [value + 4]
        inc dword [value]
        mov byte [value], 5
        iretq
        o64 iret
        retfq
        lock cmpxchg16b [rdi]
        rep stosq
        fs lodsb
        mov rax, [gs:0x30]
        mov rax, [fs:rbx + 8]
        a32 lodsd
        jrcxz done
        loop done
        jmp far [rax]
done:   hlt
        align 8
value:  dd 1, 2
)");
}

}  // namespace vtlsim::sim
