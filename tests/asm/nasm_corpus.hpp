// The instructions assembled both by us and by nasm. {a|b} stands for each of its choices, so a
// line stands for the product of its groups.
#pragma once

#include <string_view>

namespace vtlsim::sim {

// Accepted alike in every mode.
inline constexpr std::string_view kCorpusAll = R"(
{add|or|adc|sbb|and|sub|xor|cmp|test|mov} {al|bh}, {cl|dh}
{add|or|adc|sbb|and|sub|xor|cmp|test|mov} {ax|bp}, {cx|di}
{add|or|adc|sbb|and|sub|xor|cmp|test|mov} {eax|esp}, {edx|esi}
{add|or|adc|sbb|and|sub|xor|cmp|mov} {al|cl}, {1|-1|0x7f|0xff|'a'}
{add|or|adc|sbb|and|sub|xor|cmp|mov|test} {ax|dx}, {1|-1|0x7f|0x80|0xff80|0xffff|-0x8000}
{add|or|adc|sbb|and|sub|xor|cmp|mov|test} {eax|edi}, {1|-1|0x80|0xffffff80|0xffffffff|-0x80000000}
{inc|dec|neg|not|mul|div|idiv|imul} {al|cx|edx}
{rol|ror|rcl|rcr|shl|sal|shr|sar} {ah|cx|esi}, {1|cl|2|31}
{shld|shrd} {cx, dx|ecx, edx}, 5
imul {cx, dx|ecx, edx}
{shld|shrd} ebx, edi, cl
imul {eax|edi}, ecx, {5|-5|500}
imul ecx, {5|1000}
{movzx|movsx} {ax|ecx}, {bl|dh}
{movzx|movsx} edx, bx
{bt|bts|btr|btc} {ax, cx|eax, ecx}
{bt|bts|btr|btc} {ax|eax}, {0|15}
{bsf|bsr|popcnt|lzcnt|tzcnt} {ax, cx|eax, ecx}
{cmpxchg|xadd} {al|cl}, bl
{cmpxchg|xadd} ecx, ebx
xchg {ecx|ebx}, {edx|esi}
xchg eax, ecx
bswap {eax|edi}
set{o|no|b|c|nae|nb|nc|ae|z|e|nz|ne|be|na|nbe|a|s|ns|p|pe|np|po|l|nge|nl|ge|le|ng|nle|g} cl
cmov{o|no|b|c|nae|nb|nc|ae|z|e|nz|ne|be|na|nbe|a|s|ns|p|pe|np|po|l|nge|nl|ge|le|ng|nle|g} ecx, esi
j{o|no|b|c|nae|nb|nc|ae|z|e|nz|ne|be|na|nbe|a|s|ns|p|pe|np|po|l|nge|nl|ge|le|ng|nle|g} {$|start|finish}
{jmp|call} {$|start|finish}
jmp short $
{jmp|jne} near $
{loop|loope|loopz|loopne|loopnz} $
jecxz $
{movsb|movsw|movsd|stosb|stosw|stosd|lodsb|lodsw|lodsd|insb|insw|insd|outsb|outsw|outsd}
rep {movsb|movsw|movsd|stosb|stosw|stosd|lodsb|insb|insw|insd|outsb|outsw|outsd}
{repe|repz|repne|repnz|rep} {cmpsb|cmpsw|cmpsd|scasb|scasw|scasd}
{fs|gs} {lodsb|outsb|movsd}
a32 {movsb|rep stosd}
in {al|ax|eax}, {dx|0x60|0xf0}
out dx, {al|ax|eax}
out {0x80|0xcf8 & 0xff}, {al|ax|eax}
int {0|0x10|0x80|0xff}
{int3|hlt|cli|sti|cld|std|clc|stc|cmc|nop|pause|cwde|cbw|cwd|cdq|lahf|sahf|xlatb}
{cpuid|rdtsc|rdtscp|rdmsr|wrmsr|rdpmc|rdrand eax|rdseed ecx|clts|wbinvd|invd|ud2|rsm|xgetbv|xsetbv}
{vmcall|vmlaunch|vmresume|vmxoff|vmmcall|stgi|clgi|monitor|mwait|lfence|mfence|sfence|clac|stac|int1}
{ret|ret 8|retn|retf|retf 16|leave|iret|iretd|iretw|pushf|popf|enter 16, 0|enter 0x100, 1}
{retfd|retfw}
mov {ds|es|ss|fs|gs}, {ax|cx}
mov {ax|ecx}, {cs|ds|gs}
push {fs|gs|word 5|byte -3|100|0x1234}
pop {fs|gs|ax|cx}
push {ax|cx}
{sldt|str|smsw} {ax|ecx}
{lldt|ltr|lmsw|verr|verw} {ax|cx}
{lar|lsl} {ax, cx|eax, ecx}
{movaps|movups|movdqa|movdqu|movapd|movupd} {xmm0|xmm7}, {xmm1|xmm5}
{pxor|por|pand|pandn|paddb|paddd|paddq|psubw|pcmpeqb|pcmpeqd|punpcklbw|pshufb|pmuludq} xmm1, xmm2
{pxor|paddb|pcmpeqd} mm1, mm2
{addss|addsd|addps|addpd|mulsd|divss|subsd|sqrtsd|minps|maxsd|andps|xorps|ucomiss|comisd} xmm3, xmm4
{cvtsi2sd|cvtsi2ss} xmm0, ecx
{cvttsd2si|cvtsd2si|cvttss2si} ecx, xmm0
{cvtss2sd|cvtsd2ss|cvtdq2ps|cvttps2dq} xmm0, xmm1
{movd xmm0, eax|movd ecx, xmm1|movq xmm0, xmm1|movd mm0, eax|movd eax, mm1|movq mm0, mm1}
{pshufd|shufps|pshuflw|palignr} xmm0, xmm1, 0xe4
{psrldq|pslldq|psrlq|psllw} xmm0, 4
{pextrw eax, xmm0, 3|pinsrw xmm0, eax, 5|pmovmskb eax, xmm1|movmskps ecx, xmm2}
{movhlps|movlhps|movss|movsd} xmm0, xmm1
cmp{eq|lt|le|unord|neq|nlt|nle|ord}{ps|pd|ss|sd} xmm0, xmm1
cmpsd xmm0, xmm1, 2
{crc32 eax, cl|crc32 eax, ecx|pblendvb xmm0, xmm1|pblendvb xmm0, xmm1, xmm0}
{vaddps|vxorps|vmulpd} {ymm0, ymm1, ymm2|xmm0, xmm1, xmm2}
{vmovups|vmovdqu} {ymm0, ymm1|xmm3, xmm4}
{vzeroupper|emms|fninit|fwait|fnclex|fld1|fldz|fldpi|fchs|fabs|fsqrt|fsin|fcos|fprem|frndint|fscale}
{fcompp|fucompp|fnop|fincstp|fdecstp|ftst|fxam|f2xm1|fyl2x|fptan|fpatan|fxch|fcom|fucomp}
{fadd|fmul|fsub|fsubr|fdiv|fdivr} {st0, st3|st3, st0|st5|to st2}
{faddp|fmulp|fsubp|fsubrp|fdivp|fdivrp} {st1, st0|st3}
{fadd|fmul|fsub|fsubr|fdiv|fdivr|faddp|fdivrp}
{fld|fst|fstp|fxch|ffree|fcom|fcomp|fucom|fucomp} st4
{fcomi|fcomip|fucomi|fucomip} {st0, st2|st2}
{fcmovb|fcmove|fcmovbe|fcmovu|fcmovnb|fcmovne|fcmovnbe|fcmovnu} st0, st1
{fnstsw|fstsw} ax
{finit|fclex}
)";

// M is a memory operand; the tests put each mode's addressing forms in its place.
inline constexpr std::string_view kCorpusMemory = R"(
{add|or|adc|sbb|and|sub|xor|cmp|mov|xchg|test|cmpxchg|xadd} M, {cl|cx|ecx}
{add|or|adc|sbb|and|sub|xor|cmp|mov|xchg|test} {cl|cx|ecx}, M
{add|cmp|mov|test} {byte|word|dword} M, 5
{and|or|mov} {byte M, 0xf0|word M, 0xfff0|dword M, 0xfffffff0|dword M, -2}
mov M, {byte 5|word 5|dword 5}
{inc|dec|neg|not|mul|div|idiv|imul} {byte|word|dword} M
{rol|shl|sar} {byte|word|dword} M, {1|cl|7}
lock {inc dword M|xadd M, ecx|cmpxchg M, cl|add byte M, 1|bts M, eax|btr dword M, 3|cmpxchg8b M}
{movzx|movsx} {ax, byte M|eax, byte M|eax, word M}
{bt|bts} {M, cx|M, ecx|word M, 3|dword M, 31}
{shld|shrd} M, ecx, {3|cl}
imul {cx|ecx}, M
imul {cx|ecx}, M, {5|300}
set{z|nbe} {byte M|M}
cmov{z|nbe} ecx, M
push word M
pop word M
{lgdt|lidt|sgdt|sidt|sldt|str|smsw|lldt|ltr|lmsw|verr|verw|invlpg} M
{fxsave|fxrstor|xsave|xrstor|clflush|ldmxcsr|stmxcsr|prefetchnta|prefetcht0|cmpxchg8b|vmptrld|vmclear} M
{fld|fst|fstp|fadd|fmul|fsub|fdivr|fcom} {dword|qword} M
{fld|fstp} tword M
{fild|fistp} {word|dword|qword} M
{fist|fiadd|fimul|ficom} {word|dword} M
{fnstcw|fldcw|fnstsw|fstcw|fstsw|fnstenv|fldenv|fnsave|frstor|fbld|fbstp} M
{movaps|movups|movdqa|movdqu|movapd|movntdq|movntps} M, xmm1
{movaps|movups|movdqa|movdqu|pxor|addps|paddd|lddqu|sqrtpd} xmm2, M
{movups xmm0, oword M|movss xmm0, M|movsd xmm0, M|movss M, xmm1|movsd M, xmm1}
{movd xmm0, M|movd M, xmm0|movq xmm0, M|movq M, xmm0|movq mm0, M|movd M, mm1}
{movhps|movlps|movhpd|movlpd} {xmm0, M|M, xmm0}
{cvtsi2sd xmm0, dword M|cvtss2sd xmm0, M|addsd xmm0, M|ucomiss xmm0, M|pinsrw xmm1, M, 2}
{crc32 eax, byte M|movbe eax, M|movnti M, eax|nop word M|nop dword M|rdrand ecx}
{vmovups ymm0, M|vmovdqu M, xmm1|vaddps ymm1, ymm2, M}
{les|lds|lfs|lgs|lss} {cx|ecx}, M
{jmp|call} {M|word M}
{jmp|call} far M
mov {ds|fs}, M
mov M, {cs|gs}
)";

inline constexpr std::string_view kCorpus16 = R"(
mov ax, [{bx|bp|si|di|bx+si|bx+di|bp+si|bp+di|si+bx}{|+4|-4|+0x1234}]
mov [{es:di|cs:bx|fs:si|gs:0x10|ds:bx|ss:bx}], cx
mov {al|ax|eax|cx}, [{0x1234|0xfffe}]
mov eax, [dword 0x12345]
lea {ax|ecx}, [{bx+si|bp+4|0x1234|eax+ecx*4}]
mov eax, [{eax|esp|ebp|eax+ecx|eax+ecx*4|ecx*8+0x10|ebx-1}]
mov es:[di], al
{jmp|call} {0x08:0x1234|dword 0x10:0x12345678|word 0x18:5}
{jmp|call} far {[bx]|word [si]|dword [di]}
{jmp|call} {ax|ecx|dword [bx]}
push {dword 5|eax|cs|ds|es|ss|dword [bx]}
pop {ds|es|ss|ebx}
{pusha|popa|pushad|popad|pushaw|popaw|pushfd|popfd|pushfw|aaa|aas|daa|das|into|salc|aam|aad|aam 16}
mov {cr0|cr2|cr3|cr4|dr0|dr7}, eax
mov ecx, {cr0|cr2|cr3|cr4|dr6}
{jcxz|jecxz} $
{bound cx, [bx]|bound ecx, [bx]|arpl ax, cx|a32 loop $}
{o32 retf|a32 lodsb|a32 rep movsb|o32 ret}
jmp near dword $
)";

inline constexpr std::string_view kCorpus32 = R"(
mov eax, [{eax|esp|ebp|edi}{|+4|-4|+0x12345678|-0x1000}]
mov eax, [{eax+ebx|esp+eax|eax+esp|ebp+eax|eax+ebp|eax+ebp*1|ebx+ecx*2|ebp+edi*8}{|+0x7f|+0x80}]
mov eax, [{eax*2|eax*3|ecx*4|ecx*5|edx*8|edx*9}{|+0x10}]
mov {eax|ecx|al|ax}, [{0x1234|0xfee00000|0xffffffff|fs:0x30|cs:0x10|es:ebx|fs:eax+ecx*4+4}]
mov eax, {fs:[0x18]|gs:[ecx]}
mov ax, [{bx|bp+si|di+0x20}]
mov eax, [word 0x1234]
lea {ax|ecx}, [{ebx+ecx*4|ebp+4|0x1234|0xffffffff|bx+si}]
{jmp|call} {0x08:0x1234|0x10:0x12345678|word 0x18:5}
{jmp|call} far {[ebx]|word [esi]|dword [edi]}
{jmp|call} {eax|dword [ebx+ecx*4]|word [esi]}
push {cs|ds|es|ss|eax|0xffffffff|0xfffffff0|0x80000000|dword 5|dword [eax]}
pop {ds|es|ss|ebx|dword [eax]}
{pusha|popa|pushad|popad|pushaw|pushfd|popfd|pushfw|aaa|aas|daa|das|into|salc|aam|aad|aam 16}
mov {cr0|cr2|cr3|cr4|dr0|dr7}, eax
mov ecx, {cr0|cr2|cr3|cr4|dr6}
{jcxz|jecxz} $
{inc|dec} {eax|ecx}
{bound ecx, [ebx]|arpl ax, cx|sysenter|sysexit|vmrun|vmload|vmsave|invlpga}
{vmread eax, ecx|vmwrite ecx, [eax]|vmread [eax], ecx|invept eax, [ecx]|invvpid ecx, [eax]|invpcid eax, [ecx]}
)";

inline constexpr std::string_view kCorpus64 = R"(
mov rax, [{rax|rsp|rbp|r12|r13|r8|rdi}{|+4|-4|+0x12345678|-0x80000000}]
mov rax, [{rax+rbx|rsp+rax|rax+rsp|rbp+rax|rax+rbp|r13+r12|rbx+rcx*2|rbp+r15*8}{|+0x7f|+0x80}]
mov rax, [{rax*2|rax*3|rcx*4|rcx*5|r9*8|r9*9}{|+0x10}]
mov ecx, [{eax|ebx+ecx*4|r8d+4|esp}]
mov {ecx|rcx|cl|r8w}, [{abs 0x1234|0x1234|abs 0x7fffffff|fs:0x28|gs:0x10|gs:rax|fs:rax+rcx*4+8|-8}]
mov {rcx|ecx}, [{finish|finish+8|start|rel finish|rel finish+4|$}]
mov dword [finish+{0|4}], {0x12345678|5}
mov rcx, {fs:[0x28]|gs:[rax]|[rsi]}
{add|or|adc|sbb|and|sub|xor|cmp|mov|test} {rax|r8}, {rdx|r15}
{add|or|adc|sbb|and|sub|xor|cmp} {rax|rbx|r9}, {1|-1|0x7f|0x80|0x7fffffff|-0x80000000}
mov {rax|r9}, {0x123456789abcdef0|0x8000000000000000|0x7fffffffffffffff|-2|-0x80000000}
mov {r9d|sil|r10b|r11w|spl}, {1|0x12}
{inc|dec|neg|not|mul|div|idiv|imul|push|pop} {rcx|r11}
{shl|sar|rol} {rcx|r11}, {1|cl|63}
{movzx rax, bl|movzx rax, bx|movsx rax, byte [rdi]|movsxd rax, ecx|movsxd rcx, dword [rdi]|movsxd rcx, [rdi]}
{lea rax, [finish]|lea rcx, [rdi+rdi*4-1]|lea ecx, [rdi+4]|lea rax, [edi+4]|lea r8, [rel start]}
{movsq|stosq|lodsq|rep movsq|rep stosq|repe cmpsq|repne scasq|a32 rep movsb}
{pushfq|popfq|iretq|syscall|sysret|o64 sysret|swapgs|cdqe|cqo|retfq|o64 retf|vmrun|vmload|vmsave|invlpga|clzero}
{jrcxz|jecxz|loop} $
{jmp|call} {rax|r10|[rax]|qword [rdi+8]|[rel finish]|[finish]}
{jmp|call} far {[rdi]|dword [rdi]|qword [rdi]|word [rdi]}
push {qword [rdi]|word [rdi]|5|-1|0x1234|-0x80000000|dword 5|qword 5|ax}
pop {qword [rdi]|word [rdi]|r8|ax}
mov {cr0|cr2|cr3|cr4|cr8|dr0|dr7}, {rax|r8}
mov {rcx|r9}, {cr0|cr2|cr3|cr4|cr8|dr6}
{rdfsbase|wrfsbase|rdgsbase|wrgsbase} {rax|ecx}
{fxsave64|fxrstor64|xsave64|xrstor64|cmpxchg16b|lock cmpxchg16b|xsaveopt|xsavec|xsaves|xsaves64} [rdi]
{fxsave|fxrstor} [fs:0x80]
{bswap|rdrand|rdseed} {rax|r15}
{bt rax, 40|bts [rdi], rcx|bsf rax, rcx|popcnt r8, r9|shld rax, rcx, 12|xadd [rdi], rax|xchg [rdi], rcx}
{cmpxchg [rdi], rcx|cmovz rax, [rdi]|cmovg r8, r9|setz sil|imul rax, rcx|imul rax, [rdi], 5|movbe rax, [rdi]}
{movq xmm0, rax|movq rax, xmm0|movq xmm8, xmm9|movq r8, xmm1|movups xmm8, [rdi]|movdqu [r8], xmm15|movd xmm9, r9d}
{cvtsi2sd xmm0, rax|cvttsd2si rax, xmm0|pextrq rax, xmm0, 1|pinsrq xmm0, [rdi], 1|crc32 rax, cl|crc32 rax, rcx}
{invpcid rax, [rdi]|invept rax, [rdi]|invvpid rcx, [rdi]|vmread rax, rcx|vmwrite rcx, [rdi]|vmread [rdi], rax}
{lss rsp, [rdi]|lgs rax, [rdi]|lsl rax, rcx|str rcx|smsw rax|lar rax, ecx}
{enter 8, 0|ret 8|endbr64|ud1 eax, ecx|wrpkru|rdpkru|umonitor rax|tpause ecx|movdiri [rdi], rax|xbegin start}
{vaddps ymm8, ymm9, [rdi]|vmovdqu [r8], ymm1|vpbroadcastd ymm0, xmm1|vpxor ymm0, ymm1, ymm2|andn rax, rcx, rdx}
{shlx rax, rcx, rdx|rorx rax, rcx, 5|mulx rax, rcx, rdx|pdep eax, ecx, edx|bextr rax, rcx, rdx|blsr eax, ecx}
{vgatherdps ymm0, [rdi+ymm1*4], ymm2|vfmadd231pd ymm0, ymm1, ymm2|vblendvps ymm0, ymm1, ymm2, ymm3}
)";

}  // namespace vtlsim::sim
