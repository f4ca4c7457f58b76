#include <string_view>
#include <utility>

#include "sim/asm/encode.hpp"

namespace vtlsim::sim::assembly {
namespace {

ZydisEncoderOperand reg_operand(ZydisRegister reg) {
    ZydisEncoderOperand operand{};
    operand.type = ZYDIS_OPERAND_TYPE_REGISTER;
    operand.reg.value = reg;
    return operand;
}

ZydisEncoderOperand imm_operand(u64 value) {
    ZydisEncoderOperand operand{};
    operand.type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
    operand.imm.u = value;
    return operand;
}

bool is_reg(const ZydisEncoderOperand& operand, ZydisRegisterClass kind) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand.reg.value) == kind;
}

bool is_wide_gpr(const ZydisEncoderOperand& operand) {
    return is_reg(operand, ZYDIS_REGCLASS_GPR32) || is_reg(operand, ZYDIS_REGCLASS_GPR64);
}

ZydisRegister accumulator(AsmMode mode) {
    if (mode == AsmMode::bits64) return ZYDIS_REGISTER_RAX;
    return mode == AsmMode::bits32 ? ZYDIS_REGISTER_EAX : ZYDIS_REGISTER_AX;
}

class Forms {
  public:
    Forms(ZydisMnemonic mnemonic, AsmMode mode, const EncoderOperands& written)
        : mnemonic_(mnemonic), mode_(mode), written_(written) {}

    std::vector<EncoderOperands> list() {
        forms_.push_back(written_);
        switch (mnemonic_) {
            case ZYDIS_MNEMONIC_TEST:
            case ZYDIS_MNEMONIC_XCHG:
                if (written_.size() == 2) forms_.push_back({written_[1], written_[0]});
                break;
            case ZYDIS_MNEMONIC_IMUL:  // imul eax, 5
                if (written_.size() == 2) forms_.push_back({written_[0], written_[0], written_[1]});
                break;
            case ZYDIS_MNEMONIC_AAM:
            case ZYDIS_MNEMONIC_AAD:
                if (written_.empty()) forms_.push_back({imm_operand(10)});
                break;
            case ZYDIS_MNEMONIC_NOP:  // nop dword [rdi]; Zydis has a register operand as well
                add_nop();
                break;
            case ZYDIS_MNEMONIC_MOV:  // mov ds, eax moves ax
            case ZYDIS_MNEMONIC_LAR:
            case ZYDIS_MNEMONIC_LSL:
            case ZYDIS_MNEMONIC_LLDT:
            case ZYDIS_MNEMONIC_LTR:
            case ZYDIS_MNEMONIC_LMSW:
            case ZYDIS_MNEMONIC_VERR:
            case ZYDIS_MNEMONIC_VERW:
                add_resized();
                break;
            case ZYDIS_MNEMONIC_PBLENDVB:
            case ZYDIS_MNEMONIC_BLENDVPS:
            case ZYDIS_MNEMONIC_BLENDVPD:
            case ZYDIS_MNEMONIC_SHA256RNDS2:
                if (written_.size() == 3 && written_[2].reg.value == ZYDIS_REGISTER_XMM0)
                    forms_.push_back({written_[0], written_[1]});
                break;
            case ZYDIS_MNEMONIC_VMRUN:
            case ZYDIS_MNEMONIC_VMLOAD:
            case ZYDIS_MNEMONIC_VMSAVE:
            case ZYDIS_MNEMONIC_CLZERO:
                if (written_.empty()) forms_.push_back({reg_operand(accumulator(mode_))});
                break;
            case ZYDIS_MNEMONIC_SKINIT:
                if (written_.empty()) forms_.push_back({reg_operand(ZYDIS_REGISTER_EAX)});
                break;
            case ZYDIS_MNEMONIC_INVLPGA:
                if (written_.empty())
                    forms_.push_back(
                        {reg_operand(accumulator(mode_)), reg_operand(ZYDIS_REGISTER_ECX)});
                break;
            case ZYDIS_MNEMONIC_FNSTSW:
                if (written_.empty()) forms_.push_back({reg_operand(ZYDIS_REGISTER_AX)});
                break;
            default:
                add_x87();
                add_fourth_register();
        }
        return std::move(forms_);
    }

  private:
    void add_nop() {
        if (written_.size() != 1) return;
        for (const ZydisRegister reg : {ZYDIS_REGISTER_AX, ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_RAX})
            forms_.push_back({written_[0], reg_operand(reg)});
    }

    // The last operand as a register of the same number and another size.
    void add_resized() {
        if (written_.empty() || !is_wide_gpr(written_.back())) return;
        if (mnemonic_ == ZYDIS_MNEMONIC_MOV && !is_reg(written_[0], ZYDIS_REGCLASS_SEGMENT)) return;
        const auto id = static_cast<u8>(ZydisRegisterGetId(written_.back().reg.value));
        for (const ZydisRegisterClass kind :
             {ZYDIS_REGCLASS_GPR16, ZYDIS_REGCLASS_GPR32, ZYDIS_REGCLASS_GPR64}) {
            EncoderOperands form = written_;
            form.back().reg.value = ZydisRegisterEncode(kind, id);
            forms_.push_back(std::move(form));
        }
    }

    // vblendvps: the fourth register is in an immediate byte, and Zydis wants to be told.
    void add_fourth_register() {
        if (written_.size() != 4 || written_[3].type != ZYDIS_OPERAND_TYPE_REGISTER) return;
        EncoderOperands form = written_;
        form.back().reg.is4 = ZYAN_TRUE;
        forms_.push_back(std::move(form));
    }

    // fadd st1 is fadd st0, st1; faddp st1 is faddp st1, st0; fxch is fxch st1.
    void add_x87() {
        const ZydisEncoderOperand st0 = reg_operand(ZYDIS_REGISTER_ST0);
        const ZydisEncoderOperand st1 = reg_operand(ZYDIS_REGISTER_ST1);
        const std::string_view name = ZydisMnemonicGetString(mnemonic_);
        if (name.front() != 'f') return;
        if (written_.size() == 1 && is_reg(written_[0], ZYDIS_REGCLASS_X87)) {
            forms_.push_back({st0, written_[0]});
            forms_.push_back({written_[0], st0});
        }
        if (written_.size() == 2 && written_[0].reg.value == ZYDIS_REGISTER_ST0)
            forms_.push_back({written_[1]});
        if (!written_.empty() || !defaults_to_st1()) return;
        forms_.push_back({st1});
        forms_.push_back({st1, st0});
        forms_.push_back({st0, st1});
    }

    bool defaults_to_st1() const {
        switch (mnemonic_) {
            case ZYDIS_MNEMONIC_FCOM:
            case ZYDIS_MNEMONIC_FCOMP:
            case ZYDIS_MNEMONIC_FUCOM:
            case ZYDIS_MNEMONIC_FUCOMP:
            case ZYDIS_MNEMONIC_FCOMI:
            case ZYDIS_MNEMONIC_FCOMIP:
            case ZYDIS_MNEMONIC_FUCOMI:
            case ZYDIS_MNEMONIC_FUCOMIP:
            case ZYDIS_MNEMONIC_FXCH:
            case ZYDIS_MNEMONIC_FADDP:
            case ZYDIS_MNEMONIC_FMULP:
            case ZYDIS_MNEMONIC_FSUBP:
            case ZYDIS_MNEMONIC_FSUBRP:
            case ZYDIS_MNEMONIC_FDIVP:
            case ZYDIS_MNEMONIC_FDIVRP:
                return true;
            default:
                return false;
        }
    }

    ZydisMnemonic mnemonic_;
    AsmMode mode_;
    const EncoderOperands& written_;
    std::vector<EncoderOperands> forms_;
};

}  // namespace

std::vector<EncoderOperands> operand_forms(ZydisMnemonic mnemonic, AsmMode mode,
                                           const EncoderOperands& written) {
    return Forms(mnemonic, mode, written).list();
}

}  // namespace vtlsim::sim::assembly
