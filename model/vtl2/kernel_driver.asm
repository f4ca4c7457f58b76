; The Linux driver's path for a VP that is not on the sidecar (hyperv-vtl.md 3.7; after
; drivers/hv/mshv_vtl_main.c and arch/x86/hyperv/mshv_vtl_asm.S, in our own words).
; The VMM's ioctl is a byte of this simulator's own: the VMM sets it and sends an interrupt, the
; kernel clears it when the ioctl returns. See sidecar.asm for the symbols.

        bits 64
        org VTL2_CODE

ap_start:
        mov ecx, MSR_X2APIC_SVR
        mov eax, 0x1FF
        xor edx, edx
        wrmsr
        mov ecx, MSR_VP_ASSIST_PAGE
        mov eax, (ASSIST_PAGE & 0xFFFFFFFF) | 1
        mov edx, ASSIST_PAGE >> 32
        wrmsr
;@ when intercept_delivery=synic_message
        call enable_synic
;@ end
        mov edi, HYPERCALL_INPUT + 0x10
        mov dword [rdi + assoc_name], HV_REGISTER_REG_PAGE
        mov rax, REGISTER_PAGE | 1
        mov [rdi + assoc_value], rax
        mov qword [rdi + assoc_value + 8], 0
        xor ebx, ebx
        call set_one_register
        mov byte [abs CPU_STATUS], STATUS_IDLE

wait_ioctl:
        cli
        cmp byte [abs CPU_STATUS], STATUS_IDLE
        jne ioctl
        sti
        hlt
        jmp wait_ioctl

ioctl:
        xor eax, eax
        xchg eax, [abs IOCTL_COMMAND]
        cmp eax, COMMAND_SET_VP_REGISTERS
        je set_vp_registers
        cmp eax, COMMAND_GET_VP_REGISTERS
        je get_vp_registers
        cmp eax, COMMAND_TRANSLATE_GVA
        je translate_gva

run_vp_loop:
        cli
        cmp dword [abs HCL_RUN + run_cancel], 0
        jne cancelled
        mov ecx, HCL_RUN + run_context
        call vtl_return
        sti                                     ; a pending VTL2 interrupt is taken here
        nop
        cli
        mov eax, [abs ASSIST_PAGE + assist_entry_reason]
        cmp eax, ENTRY_INTERRUPT
;@ when intercept_delivery=synic_message
        je interrupted
;@ end
;@ when intercept_delivery=intercept_page
        je run_vp_loop
;@ end
        cmp eax, ENTRY_INTERCEPT
        je intercepted
        ud2                                     ; the driver panics

;@ when intercept_delivery=synic_message
interrupted:                                    ; perhaps for SINT0's message
        cmp dword [abs SIMP_PAGE + msg_type], 0
        je run_vp_loop
        mov esi, SIMP_PAGE
        mov edi, HCL_RUN + run_exit_message
        mov ecx, 0x100 / 8
        rep movsq
        mov dword [abs SIMP_PAGE + msg_type], 0 ; the slot is empty, and the next may come
        mov ecx, MSR_EOM
        xor eax, eax
        xor edx, edx
        wrmsr
        mov byte [abs IOCTL_RESULT], 1
        jmp finish
;@ end

intercepted:
        mov esi, ASSIST_PAGE + assist_message
        mov edi, HCL_RUN + run_exit_message
        mov ecx, 0x100 / 8
        rep movsq
        mov byte [abs IOCTL_RESULT], 1
        jmp finish
cancelled:
        mov byte [abs IOCTL_RESULT], 0          ; EINTR
finish:
        mov byte [abs CPU_STATUS], STATUS_IDLE
        jmp wait_ioctl

vtl_return:                                     ; RCX: the context
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov rax, [rcx + ctx_rax]
        mov [abs ASSIST_PAGE + assist_register_rax], rax
        mov rax, [rcx + ctx_rcx]
        mov [abs ASSIST_PAGE + assist_register_rcx], rax
        fxrstor [rcx + ctx_fx]
        mov rax, [rcx + ctx_cr2]
        mov cr2, rax
        mov rdx, [rcx + ctx_rdx]
        mov rbx, [rcx + ctx_rbx]
        mov rbp, [rcx + ctx_rbp]
        mov rsi, [rcx + ctx_rsi]
        mov rdi, [rcx + ctx_rdi]
        mov r8, [rcx + ctx_r8]
        mov r9, [rcx + ctx_r9]
        mov r10, [rcx + ctx_r10]
        mov r11, [rcx + ctx_r11]
        mov r12, [rcx + ctx_r12]
        mov r13, [rcx + ctx_r13]
        mov r14, [rcx + ctx_r14]
        mov r15, [rcx + ctx_r15]
        push rcx
        mov eax, VTL_RETURN_STUB
        xor ecx, ecx
        call rax                                ; the guest runs
        push rax
        push rcx
        mov rcx, [rsp + 16]                     ; the context again
        mov [rcx + ctx_rdx], rdx
        mov [rcx + ctx_rbx], rbx
        mov [rcx + ctx_rbp], rbp
        mov [rcx + ctx_rsi], rsi
        mov [rcx + ctx_rdi], rdi
        mov [rcx + ctx_r8], r8
        mov [rcx + ctx_r9], r9
        mov [rcx + ctx_r10], r10
        mov [rcx + ctx_r11], r11
        mov [rcx + ctx_r12], r12
        mov [rcx + ctx_r13], r13
        mov [rcx + ctx_r14], r14
        mov [rcx + ctx_r15], r15
        mov rax, cr2
        mov [rcx + ctx_cr2], rax
        pop rax
        mov [rcx + ctx_rcx], rax
        pop rax
        mov [rcx + ctx_rax], rax
        fxsave [rcx + ctx_fx]
        pop rcx
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
