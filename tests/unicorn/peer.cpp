#include "tests/unicorn/peer.hpp"

#include <stdexcept>
#include <unicorn/unicorn.h>

namespace vtlsim::tests {

using sim::CpuState;
using sim::Reg;
using sim::Seg;

namespace {

constexpr u64 kMapped = 0x200000;

struct Pair {
    Reg ours;
    int theirs;
};
constexpr Pair kWide[] = {
    {Reg::rax, UC_X86_REG_RAX}, {Reg::rcx, UC_X86_REG_RCX}, {Reg::rdx, UC_X86_REG_RDX},
    {Reg::rbx, UC_X86_REG_RBX}, {Reg::rsp, UC_X86_REG_RSP}, {Reg::rbp, UC_X86_REG_RBP},
    {Reg::rsi, UC_X86_REG_RSI}, {Reg::rdi, UC_X86_REG_RDI}, {Reg::r8, UC_X86_REG_R8},
    {Reg::r9, UC_X86_REG_R9},   {Reg::r10, UC_X86_REG_R10}, {Reg::r11, UC_X86_REG_R11},
    {Reg::r12, UC_X86_REG_R12}, {Reg::r13, UC_X86_REG_R13}, {Reg::r14, UC_X86_REG_R14},
    {Reg::r15, UC_X86_REG_R15}, {Reg::rip, UC_X86_REG_RIP}, {Reg::rflags, UC_X86_REG_RFLAGS}};
constexpr Pair kNarrow[] = {{Reg::rax, UC_X86_REG_EAX}, {Reg::rcx, UC_X86_REG_ECX},
                            {Reg::rdx, UC_X86_REG_EDX}, {Reg::rbx, UC_X86_REG_EBX},
                            {Reg::rsp, UC_X86_REG_ESP}, {Reg::rbp, UC_X86_REG_EBP},
                            {Reg::rsi, UC_X86_REG_ESI}, {Reg::rdi, UC_X86_REG_EDI},
                            {Reg::rip, UC_X86_REG_EIP}, {Reg::rflags, UC_X86_REG_EFLAGS}};
constexpr Pair kSelectors[] = {{Reg::cs, UC_X86_REG_CS}, {Reg::ss, UC_X86_REG_SS},
                               {Reg::ds, UC_X86_REG_DS}, {Reg::es, UC_X86_REG_ES},
                               {Reg::fs, UC_X86_REG_FS}, {Reg::gs, UC_X86_REG_GS}};
constexpr Pair kControls[] = {{Reg::cr2, UC_X86_REG_CR2},
                              {Reg::cr3, UC_X86_REG_CR3},
                              {Reg::cr4, UC_X86_REG_CR4},
                              {Reg::cr0, UC_X86_REG_CR0}};

}  // namespace

struct Peer::Engine {
    uc_engine* uc = nullptr;
    bool interrupted = false;
    unsigned vector = 0;
    ExecMode mode = ExecMode::long64;
    CpuState at_fault;  // the peer goes on after the hook, whatever it is told

    void write(int reg, u64 value) { uc_reg_write(uc, reg, &value); }
    u64 read(int reg) const {
        u64 value = 0;
        uc_reg_read(uc, reg, &value);
        return value;
    }
    void write_table(int reg, const CpuState& s, Reg base, u64 selector, u64 flags) {
        uc_x86_mmr table{};
        table.selector = static_cast<u16>(selector);
        table.base = s[base];
        table.limit = static_cast<u32>(s[sim::offset(base, 1)]);
        table.flags = static_cast<u32>(flags);
        uc_reg_write(uc, reg, &table);
    }
    void read_table(int reg, CpuState& s, Reg base) const {
        uc_x86_mmr table{};
        uc_reg_read(uc, reg, &table);
        s[base] = table.base;
        s[sim::offset(base, 1)] = table.limit & 0xFFFF;
    }
    u64 read_selector(int reg) const {
        uc_x86_mmr table{};
        uc_reg_read(uc, reg, &table);
        return table.selector;
    }
    static void on_interrupt(uc_engine* uc, u32 vector, void* engine) {
        auto* e = static_cast<Engine*>(engine);
        if (!e->interrupted) {
            e->interrupted = true;
            e->vector = vector;
            e->read_state(e->at_fault);
        }
        uc_emu_stop(uc);
    }
    void read_state(CpuState& s) const {
        if (mode == ExecMode::long64) {
            for (const Pair& pair : kWide) s[pair.ours] = read(pair.theirs);
        } else {
            for (const Pair& pair : kNarrow) s[pair.ours] = read(pair.theirs) & 0xFFFFFFFF;
        }
        if (mode == ExecMode::real16) s[Reg::rip] = read(UC_X86_REG_IP) & 0xFFFF;
        for (const Pair& pair : kSelectors) s[pair.ours] = read(pair.theirs) & 0xFFFF;
        for (const Pair& pair : kControls) s[pair.ours] = read(pair.theirs);
        read_table(UC_X86_REG_GDTR, s, Reg::gdtr_base);
        read_table(UC_X86_REG_IDTR, s, Reg::idtr_base);
        s[Reg::ldtr] = read_selector(UC_X86_REG_LDTR);
        s[Reg::tr] = read_selector(UC_X86_REG_TR);
    }
    static bool on_undefined(uc_engine* uc, void* engine) {
        on_interrupt(uc, 6, engine);
        return false;
    }
};

Peer::Peer(const World& world) : engine_(new Engine) {
    Engine& e = *engine_;
    e.mode = world.mode;
    const CpuState& s = world.state;
    const bool wide = engine_->mode == ExecMode::long64;
    const uc_mode mode = engine_->mode == ExecMode::real16 ? UC_MODE_16
                         : wide                            ? UC_MODE_64
                                                           : UC_MODE_32;
    if (uc_open(UC_ARCH_X86, mode, &e.uc) != UC_ERR_OK) throw std::runtime_error("uc_open");
    uc_ctl_set_cpu_model(e.uc, UC_CPU_X86_SKYLAKE_CLIENT);
    if (uc_mem_map(e.uc, 0, kMapped, UC_PROT_ALL) != UC_ERR_OK) {
        throw std::runtime_error("uc_mem_map");
    }
    world.memory.for_each_page([&](u64 page, const u8* bytes) {
        uc_mem_write(e.uc, page << sim::kPageShift, bytes, sim::kPageSize);
    });
    uc_hook hook{};
    uc_hook_add(e.uc, &hook, UC_HOOK_INTR, reinterpret_cast<void*>(Engine::on_interrupt), &e, 1, 0);
    uc_hook_add(e.uc, &hook, UC_HOOK_INSN_INVALID, reinterpret_cast<void*>(Engine::on_undefined),
                &e, 1, 0);
    e.write_table(UC_X86_REG_GDTR, s, Reg::gdtr_base, 0, 0);
    e.write_table(UC_X86_REG_IDTR, s, Reg::idtr_base, 0, 0);
    if (wide) {
        uc_x86_msr msr{0xC0000080, s[Reg::efer]};
        uc_reg_write(e.uc, UC_X86_REG_MSR, &msr);
    }
    for (const Pair& pair : kControls) e.write(pair.theirs, s[pair.ours]);
    if (engine_->mode != ExecMode::real16) {
        e.write_table(UC_X86_REG_TR, s, Reg::tr_base, s[Reg::tr], s[Reg::tr_attr] << 8);
        if (s[Reg::ldtr] != 0) {
            e.write_table(UC_X86_REG_LDTR, s, Reg::ldtr_base, s[Reg::ldtr], s[Reg::ldtr_attr] << 8);
        }
    }
    for (const Pair& pair : kSelectors) e.write(pair.theirs, s[pair.ours]);
    take_over(s);
}

void Peer::take_over(const CpuState& state) {
    if (engine_->mode == ExecMode::long64) {
        for (const Pair& pair : kWide) engine_->write(pair.theirs, state[pair.ours]);
    } else {
        for (const Pair& pair : kNarrow) engine_->write(pair.theirs, state[pair.ours]);
    }
}

Peer::~Peer() {
    uc_close(engine_->uc);
    delete engine_;
}

PeerStep Peer::step(const CpuState& before) {
    Engine& e = *engine_;
    e.interrupted = false;
    e.at_fault = before;
    u64 at = before[Reg::rip];
    if (engine_->mode == ExecMode::real16) at += before[Reg::cs_base];
    PeerStep out;
    out.state = before;
    const uc_err error = uc_emu_start(e.uc, at, ~u64{0} >> 1, 0, 1);
    e.read_state(out.state);
    if (e.interrupted) {
        out.end = End::fault;
        out.vector = e.vector;
        out.state = e.at_fault;
    } else if (error == UC_ERR_INSN_INVALID) {
        out.end = End::fault;
        out.vector = 6;
    } else if (error != UC_ERR_OK) {
        out.end = End::beyond;
    }
    return out;
}

void Peer::read_memory(std::span<u8> out) const {
    uc_mem_read(engine_->uc, 0, out.data(), out.size());
}

bool peer_exists() { return true; }

}  // namespace vtlsim::tests
