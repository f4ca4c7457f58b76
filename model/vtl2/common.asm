; What both VTL2 kernels have: GET, SET and TRANSLATE_GVA, hypercalls, the interrupt handler and the tables.

; --- GET_VP_REGISTERS and SET_VP_REGISTERS -----------------------------------------------------
; One hypercall for each association of the request, on this VP, for the target VTL; but DR0 to DR3, DR6
; if it is shared, and MTRRs, which both VTLs share, are moved by instructions.

get_vp_registers:                               ; R13: the association at hand
        movzx r12d, word [abs REQUEST + req_count]
        movzx ebx, byte [abs REQUEST + req_target_vtl]
        mov r13d, REQUEST + 0x10
        xor eax, eax
.next:
        test r12d, r12d
        jz registers_done
        call get_one_register_or_move
        test ax, ax
        jnz registers_done
        add r13, 0x20
        dec r12d
        jmp .next

set_vp_registers:
        movzx r12d, word [abs REQUEST + req_count]
        movzx ebx, byte [abs REQUEST + req_target_vtl]
        mov r13d, REQUEST + 0x10
        xor eax, eax
.next:
        test r12d, r12d
        jz registers_done
        cmp dword [r13 + assoc_name], HV_REGISTER_DR0
        jae .own
.call:
        mov rsi, r13
        mov edi, HYPERCALL_INPUT + 0x10
        mov ecx, 0x20 / 8
        rep movsq
        call set_one_register
.done:
        test ax, ax
        jnz registers_done
        add r13, 0x20
        dec r12d
        jmp .next
.own:
        call move_to_register
        jc .call
        jmp .done

registers_done:
        mov [abs REQUEST + req_status], ax
        jmp finish

get_one_register:
        mov eax, [r13 + assoc_name]
        mov [abs HYPERCALL_INPUT + 0x10], eax
        mov rcx, HVCALL_GET_VP_REGISTERS | 1 << 32
        mov r8d, HYPERCALL_INPUT + 0x800        ; output
        call hypercall_on_self
        test ax, ax
        jnz .failed
        mov rcx, [abs HYPERCALL_INPUT + 0x800]
        mov [r13 + assoc_value], rcx
        mov rcx, [abs HYPERCALL_INPUT + 0x808]
        mov [r13 + assoc_value + 8], rcx
.failed:
        ret

; --- TRANSLATE_GVA -----------------------------------------------------------------------------
; One hypercall on this VP; the flags say for which VTL. The response takes the request's place.

translate_gva:
        mov rax, [abs REQUEST + tr_flags]
        mov [abs HYPERCALL_INPUT + trin_control_flags], rax
        mov rax, [abs REQUEST + tr_gvn]
        mov [abs HYPERCALL_INPUT + trin_gva_page], rax
        xor ebx, ebx                            ; no input VTL in this call's header
        mov ecx, HVCALL_TRANSLATE_GVA
        mov r8d, HYPERCALL_INPUT + 0x800        ; output
        call hypercall_on_self
        mov [abs REQUEST + tr_status], ax
        mov esi, HYPERCALL_INPUT + 0x800
        mov edi, REQUEST + tr_output
        mov ecx, 0x40 / 8
        rep movsq
        jmp finish

; HvCallSetVpRegisters of the association at HYPERCALL_INPUT + 10h on this VP. BL: input VTL.
; AX: status.
set_one_register:
        mov rcx, HVCALL_SET_VP_REGISTERS | 1 << 32              ; one repetition
        xor r8d, r8d
; RCX: control, R8: output. The input's header is filled in here.
hypercall_on_self:
        mov qword [abs HYPERCALL_INPUT + hcin_partition_id], -1 ; HV_PARTITION_ID_SELF
        mov dword [abs HYPERCALL_INPUT + hcin_vp_index], -2     ; HV_VP_INDEX_SELF
        mov [abs HYPERCALL_INPUT + hcin_input_vtl], bl
        mov edx, HYPERCALL_INPUT
        mov eax, HYPERCALL_PAGE
        call rax
        ret

;@ when intercept_delivery=synic_message
; --- SynIC: intercepts as messages of SINT0 ----------------------------------------------------

enable_synic:
        mov ecx, MSR_SIMP
        mov eax, (SIMP_PAGE & 0xFFFFFFFF) | 1
        mov edx, SIMP_PAGE >> 32
        wrmsr
        mov ecx, MSR_SINT0                      ; not masked, no auto-EOI
        mov eax, 0xF3                           ; Linux's vector for the hypervisor
        xor edx, edx
        wrmsr
        mov ecx, MSR_SCONTROL
        mov eax, 1
        wrmsr
        ret

;@ end
; --- interrupts --------------------------------------------------------------------------------

on_interrupt:                                   ; only acknowledges: the park loop looks for itself
        push rax
        push rcx
        push rdx
        mov ecx, MSR_X2APIC_EOI
        xor eax, eax
        xor edx, edx
        wrmsr
        pop rdx
        pop rcx
        pop rax
        iretq

        align 16
gdt:    dq 0
        dq 0x00AF9B000000FFFF                   ; 08h: 64-bit code, CPL 0
        dq 0x00CF93000000FFFF                   ; 10h: data
gdt_end:

; All vectors from 20h up reach on_interrupt; an exception has no gate and ends in a triple fault,
; which is this kernel's panic.
        align 16
idt:    times 32 * 16 db 0
        times 224 dq (on_interrupt & 0xFFFF) | 0x08 << 16 | 0x8E00 << 32 | (on_interrupt >> 16 & 0xFFFF) << 48, on_interrupt >> 32
idt_end:

get_one_register_or_move:
        mov eax, [r13 + assoc_name]
        sub eax, HV_REGISTER_DR0
        jz .dr0
        cmp eax, 1
        je .dr1
        cmp eax, 2
        je .dr2
        cmp eax, 3
        je .dr3
;@ when dr6_shared=yes
        cmp eax, 4
        je .dr6
;@ end
        jl get_one_register                     ; a name below DR0's
        call msr_of_mtrr
        jc get_one_register
        rdmsr
        mov [r13 + assoc_value], eax
        mov [r13 + assoc_value + 4], edx
        jmp .high
.dr0:   mov rcx, dr0
        jmp .moved
.dr1:   mov rcx, dr1
        jmp .moved
.dr2:   mov rcx, dr2
        jmp .moved
.dr3:   mov rcx, dr3
;@ when dr6_shared=yes
        jmp .moved
.dr6:   mov rcx, dr6
;@ end
.moved: mov [r13 + assoc_value], rcx
.high:  mov qword [r13 + assoc_value + 8], 0
        xor eax, eax
        ret

; Answers AX = 0, or CF where a hypercall has to do it.
move_to_register:
        mov eax, [r13 + assoc_name]
        mov rcx, [r13 + assoc_value]
        sub eax, HV_REGISTER_DR0
        jz .dr0
        cmp eax, 1
        je .dr1
        cmp eax, 2
        je .dr2
        cmp eax, 3
        je .dr3
;@ when dr6_shared=yes
        cmp eax, 4
        je .dr6
;@ end
        call msr_of_mtrr
        jc .not
        mov eax, [r13 + assoc_value]
        mov edx, [r13 + assoc_value + 4]
        wrmsr
        jmp .moved
.dr0:   mov dr0, rcx
        jmp .moved
.dr1:   mov dr1, rcx
        jmp .moved
.dr2:   mov dr2, rcx
        jmp .moved
.dr3:   mov dr3, rcx
;@ when dr6_shared=yes
        jmp .moved
.dr6:   mov dr6, rcx
;@ end
.moved: xor eax, eax                            ; and CF
.not:   ret

; EAX: a register's name less DR0's. ECX: the MSR, with CF clear; CF: it is no MTRR.
msr_of_mtrr:
        sub eax, HV_REGISTER_MTRR_CAP - HV_REGISTER_DR0
        cmp eax, (mtrrs_end - mtrrs) / 2
        jae .none
        lea rcx, [rel mtrrs]
        movzx ecx, word [rcx + rax * 2]
        cmp ecx, 1                              ; CF: 0 stands for no MTRR
        ret
.none:  stc
        ret

; In the order of their names: capabilities, default type, bases, masks, fixed ranges.
        align 2
mtrrs:  dw 0xFE, 0x2FF, 0
        dw 0x200, 0x202, 0x204, 0x206, 0x208, 0x20A, 0x20C, 0x20E
        times 0x28 dw 0
        dw 0x201, 0x203, 0x205, 0x207, 0x209, 0x20B, 0x20D, 0x20F
        times 0x28 dw 0
        dw 0x250, 0x258, 0x259, 0x268, 0x269, 0x26A, 0x26B, 0x26C, 0x26D, 0x26E, 0x26F
mtrrs_end:
