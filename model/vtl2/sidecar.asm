; The sidecar kernel of one AP: start, park loop, command dispatch, RUN_VP, removal.
; Runs in VTL2 at CPL 0 with linear = physical, interrupts off but while parked
; (hyperv-vtl.md 3.2; after openhcl/sidecar in openvmm, in our own words).
;
; Symbols in capitals and those named after wire fields (ctx_, cmd_, ctl_, assist_, msg_, page_, req_,
; assoc_, hcin_) are given by model/vtl2/vtl2_kernel.cpp. Lines between ";@ when SWITCH=VALUE[|VALUE]"
; and ";@ end" are there only for those values of the model switch.

        bits 64
        org VTL2_CODE

ap_start:
        mov ecx, MSR_FS_BASE                    ; FS base = &command_page.cpu_context
        mov eax, (COMMAND_PAGE + cmd_cpu_context) & 0xFFFFFFFF
        mov edx, (COMMAND_PAGE + cmd_cpu_context) >> 32
        wrmsr
        mov ecx, MSR_X2APIC_SVR                 ; APIC on, spurious vector FFh
        mov eax, 0x1FF
        xor edx, edx
        wrmsr
        xor eax, eax                            ; zero the command page and the register page
        mov edi, COMMAND_PAGE
        mov ecx, 2 * 0x1000 / 8
        rep stosq
        mov al, STATUS_IDLE                     ; RUN, as set before this kernel started
        xchg al, [abs CPU_STATUS]

park:                                           ; check first: a request may already be there
        mov al, [abs CPU_STATUS]
        cmp al, STATUS_REMOVE
        je remove
        cmp al, STATUS_IDLE
        jne dispatch
        sti                                     ; the shadow of STI covers HLT: no lost wake-up
        hlt
        cli
        jmp park

dispatch:                                       ; RUN and STOP both get here
        mov byte [abs COMMAND_PAGE + cmd_has_error], 0
        xor eax, eax
        xchg eax, [abs COMMAND_PAGE + cmd_command]
        cmp eax, COMMAND_RUN_VP
        je run_vp
        cmp eax, COMMAND_SET_VP_REGISTERS
        je set_vp_registers
        cmp eax, COMMAND_GET_VP_REGISTERS
        je get_vp_registers
        cmp eax, COMMAND_TRANSLATE_GVA
        je translate_gva
        lea rsi, [rel unknown_command]
        jmp fail

finish:
        mov byte [abs CPU_STATUS], STATUS_IDLE  ; before the attention: the driver may look at once
        call raise_attention
        jmp park

raise_attention:
        mov dword [abs CONTROL_PAGE + ctl_needs_attention], 1
        mov eax, [abs CONTROL_PAGE + ctl_response_vector]
        test eax, eax
        jz .done
        mov edx, [abs CONTROL_PAGE + ctl_response_cpu]
        mov ecx, MSR_X2APIC_ICR
        wrmsr
.done:  ret

remove:                                         ; back to Linux: this kernel lets the VP go
        mov ecx, MSR_VP_ASSIST_PAGE
        xor eax, eax
        xor edx, edx
        wrmsr
        cmp byte [rel register_page_mapped], 0
        je .unmapped
        mov edi, HYPERCALL_INPUT + 0x10
        mov dword [rdi + assoc_name], HV_REGISTER_REG_PAGE
        xor eax, eax
        mov [rdi + assoc_value], rax
        mov [rdi + assoc_value + 8], rax
        xor ebx, ebx
        call set_one_register
.unmapped:
        mov ecx, MSR_X2APIC_SVR                 ; APIC off
        mov eax, 0xFF
        xor edx, edx
        wrmsr
        mov byte [abs CPU_STATUS], STATUS_REMOVED
        call raise_attention
.halt:  cli
        hlt
        jmp .halt

fail:                                           ; RSI: length byte and text; no response is written
        mov byte [abs COMMAND_PAGE + cmd_has_error], 1
        mov edi, COMMAND_PAGE + cmd_error
        movzx ecx, byte [rsi]
        inc ecx
        rep movsb
        jmp finish

; --- RUN_VP ------------------------------------------------------------------------------------

run_vp:
        cmp byte [rel overlays_mapped], 0
        jne run_vp_loop
        mov byte [rel overlays_mapped], 1       ; first time only
        mov ecx, MSR_VP_ASSIST_PAGE
        mov eax, (ASSIST_PAGE & 0xFFFFFFFF) | 1
        mov edx, ASSIST_PAGE >> 32
        wrmsr
;@ when intercept_delivery=synic_message
        call enable_synic                       ; this simulator's own: else nothing would come
;@ end
        mov edi, HYPERCALL_INPUT + 0x10         ; the association after the header
        mov dword [rdi + assoc_name], HV_REGISTER_REG_PAGE
        mov rax, REGISTER_PAGE | 1
        mov [rdi + assoc_value], rax
        mov qword [rdi + assoc_value + 8], 0
        xor ebx, ebx                            ; this VTL's own register
        call set_one_register
        test ax, ax
        jnz run_vp_loop                         ; not an error: an older hypervisor
        mov byte [rel register_page_mapped], 1

run_vp_loop:
        cmp byte [abs CPU_STATUS], STATUS_STOP
        je run_vp_stopped
        call run_vp_once
        mov eax, [abs ASSIST_PAGE + assist_entry_reason]
        cmp eax, ENTRY_INTERRUPT
        je run_vp_loop
        cmp eax, ENTRY_INTERCEPT
        je run_vp_intercept
        lea rsi, [rel unexpected_entry_reason]
        jmp fail

run_vp_stopped:
        mov byte [abs COMMAND_PAGE + cmd_request_data], 0
        jmp finish

run_vp_intercept:
        mov esi, ASSIST_PAGE + assist_message
        mov edi, COMMAND_PAGE + cmd_intercept_message
        mov ecx, 0x100 / 8
        rep movsq
;@ when vmm_fix=V1|V1_all_gps|V1V2
        call sync_from_register_page
;@ end
        mov byte [abs COMMAND_PAGE + cmd_request_data], 1
        jmp finish

run_vp_once:                                    ; FS addresses the CPU context
        mov rax, [fs:ctx_rax]                   ; RAX and RCX travel by the assist page
        mov [abs ASSIST_PAGE + assist_register_rax], rax
        mov rax, [fs:ctx_rcx]
        mov [abs ASSIST_PAGE + assist_register_rcx], rax
;@ when fx_cr2_restore=head
        fxrstor [fs:ctx_fx]
;@ end
        push rbp
        push rbx
;@ when fx_cr2_restore=head
        mov rbx, [fs:ctx_cr2]
        mov cr2, rbx
;@ end
        mov rdx, [fs:ctx_rdx]
        mov rsi, [fs:ctx_rsi]
        mov rdi, [fs:ctx_rdi]
        mov r8, [fs:ctx_r8]
        mov r9, [fs:ctx_r9]
        mov r10, [fs:ctx_r10]
        mov r11, [fs:ctx_r11]
        mov r12, [fs:ctx_r12]
        mov r13, [fs:ctx_r13]
        mov r14, [fs:ctx_r14]
        mov r15, [fs:ctx_r15]
        mov rbp, [fs:ctx_rbp]
        mov rbx, [fs:ctx_rbx]
        mov eax, VTL_RETURN_STUB
        xor ecx, ecx                            ; control input 0: normal return
        call rax                                ; the guest runs until VTL2 is entered again
        mov [fs:ctx_rbx], rbx
        mov [fs:ctx_rbp], rbp
        mov rbx, cr2
        mov [fs:ctx_cr2], rbx
        pop rbx
        pop rbp
        fxsave [fs:ctx_fx]
        mov [fs:ctx_rax], rax
        mov [fs:ctx_rcx], rcx
        mov [fs:ctx_rdx], rdx
        mov [fs:ctx_rsi], rsi
        mov [fs:ctx_rdi], rdi
        mov [fs:ctx_r8], r8
        mov [fs:ctx_r9], r9
        mov [fs:ctx_r10], r10
        mov [fs:ctx_r11], r11
        mov [fs:ctx_r12], r12
        mov [fs:ctx_r13], r13
        mov [fs:ctx_r14], r14
        mov [fs:ctx_r15], r15
        ret

;@ when vmm_fix=V1|V1_all_gps|V1V2
; Fix V1: the guest's registers as the hypervisor wrote them, if it did.
sync_from_register_page:
        cmp byte [rel register_page_mapped], 0
        je .done
        cmp byte [abs REGISTER_PAGE + page_is_valid], 0
        je .done
        mov esi, REGISTER_PAGE
        mov edi, COMMAND_PAGE + cmd_cpu_context
        xor ecx, ecx
.gp:
;@ end
;@ when vmm_fix=V1|V1V2
        cmp ecx, 4                              ; RSP in the page, CR2 in the context
        je .next
;@ end
;@ when vmm_fix=V1|V1_all_gps|V1V2
        mov rax, [rsi + rcx * 8 + page_rax]
        mov [rdi + rcx * 8 + ctx_rax], rax
.next:
        inc ecx
        cmp ecx, 16
        jb .gp
        add esi, page_xmm0
        add edi, ctx_fx + fx_xmm0
        mov ecx, 6 * 16 / 8
        rep movsq
.done:
        ret
;@ end

overlays_mapped:        db 0
register_page_mapped:   db 0
unknown_command:        db unknown_command_end - unknown_command - 1, "unknown command"
unknown_command_end:
unexpected_entry_reason: db unexpected_entry_reason_end - unexpected_entry_reason - 1
                        db "unexpected entry reason"
unexpected_entry_reason_end:
