// The guest programs of the benchmarks. All end with HLT; RCX counts down.
#pragma once

#include <string_view>

namespace vtlsim::bench {

inline constexpr unsigned long kCode = 0x1000;
inline constexpr unsigned long kData = 0x100000;  // 256 KiB
inline constexpr unsigned long kDataSize = 0x40000;
inline constexpr unsigned long kStack = 0x90000;

// 10 instructions an iteration, registers only.
inline constexpr std::string_view kAlu = R"(
loop:   add rax, rbx
        xor rdx, rax
        shl rbx, 3
        lea rsi, [rax + rdx*4 + 7]
        imul rdi, rsi, 0x01000193
        ror rbx, 7
        cmp rdi, rax
        adc rbx, rdi
        dec rcx
        jnz loop
        hlt
)";

// 13 instructions an iteration, stride 72 over 64 KiB.
inline constexpr std::string_view kMem = R"(
loop:   mov rax, [rbp + rsi]
        add rax, rbx
        mov [rbp + rsi], rax
        push rax
        call callee
        pop rdx
        add rsi, 72
        and esi, 0xFFF8
        dec rcx
        jnz loop
        hlt
callee: add [rbp + 0x10000], rax
        movzx ebx, byte [rbp + rsi]
        ret
)";

// CRC-32 of 64 KiB, bit by bit, again and again.
inline constexpr std::string_view kBranchy = R"(
        mov eax, -1
next:   movzx edx, byte [rbp + rsi]
        xor eax, edx
        mov edi, 8
bit:    shr eax, 1
        jnc even
        xor eax, 0xEDB88320
even:   dec edi
        jnz bit
        inc si
        dec rcx
        jnz next
        hlt
)";

// 10 instructions an iteration.
inline constexpr std::string_view kSse = R"(
loop:   movdqu xmm0, [rbp + rsi]
        paddd xmm1, xmm0
        pxor xmm2, xmm1
        pshufd xmm3, xmm2, 0x1B
        mulps xmm4, xmm5
        movdqu [rbp + rsi + 0x20000], xmm3
        add esi, 16
        and esi, 0xFFFF
        dec rcx
        jnz loop
        hlt
)";

// Three bursts of 256 bytes an iteration.
inline constexpr std::string_view kString = R"(
loop:   mov rdx, rcx
        lea rsi, [rbp]
        lea rdi, [rbp + 0x8000]
        mov ecx, 256
        rep movsb
        lea rdi, [rbp + 0x9000]
        mov ecx, 32
        rep stosq
        lea rdi, [rbp + 0x8000]
        mov ecx, 256
        mov al, 0xFE
        repne scasb
        mov rcx, rdx
        dec rcx
        jnz loop
        hlt
)";

// Two port accesses an iteration.
inline constexpr std::string_view kPio = R"(
loop:   out dx, al
        in al, dx
        dec ecx
        jnz loop
        hlt
)";

// 40 instructions with one OUT.
inline constexpr std::string_view kShort = R"(
        times 12 add rax, rbx
        mov [rbp], rax
        times 12 xor rdx, rax
        out 0x80, al
        times 12 lea rsi, [rsi + rdx]
        mov [rbp + 0x1000], rsi
        hlt
)";

}  // namespace vtlsim::bench
