#include "runner/conform_kvm/random_case.hpp"

#include "runner/conform_kvm/random_code.hpp"

namespace vtlsim::runner::conform_kvm {
namespace {

using model::kvm::Action;
using model::kvm::ActionKind;
using model::kvm::Guest;
using model::kvm::Mode;
using model::kvm::Return;
using model::kvm::Rule;
using sim::Reg;

constexpr u64 kRam = 0x80000;
constexpr u64 kHandlersAt = 0x4000;  // one handler every 8 bytes
constexpr u16 kHandlerPort = 0x77;
constexpr u64 kDataAt = 0x20000, kRealDataAt = 0x5000;
constexpr u32 kExits = 24;
constexpr u64 kFlags = 0xCD5;  // CF PF AF ZF SF DF OF: bits that a guest may start with
constexpr u64 kTf = 0x100, kIf = 0x200;

bool long_mode(Mode mode) { return mode == Mode::long64 || mode == Mode::long64_cpl3; }

class Maker {
  public:
    Maker(u64 seed, u64 number, std::span<const Mode> modes)
        : random_(seed * 0x9E3779B97F4A7C15 + number) {
        random_.next();
        case_.mode = modes[random_.below(modes.size())];
        mmio_strings_ = random_.one_in(3);
    }

    RandomCase make() {
        make_code();
        make_registers();
        make_devices();
        make_script();
        if (case_.mode != Mode::long64_cpl3 && !random_.one_in(3))
            case_.vectors = {1, 2, 6, 13, 0x20};
        return std::move(case_);
    }

  private:
    u64 value() {
        switch (random_.below(4)) {
            case 0:
                return random_.below(16);
            case 1:
                return random_.next() & 0xFFFFFFFF;
            default:
                return random_.next();
        }
    }
    u64 wide(u64 v) const {
        return long_mode(case_.mode) ? v : case_.mode == Mode::prot32 ? v & 0xFFFFFFFF : v & 0xFFFF;
    }

    void make_code() {
        const u64 count = 1 + random_.below(6);
        for (u64 i = 0; i < count; ++i) {
            for (auto& insn : random_instruction(random_, case_.mode, mmio_strings_)) {
                case_.code.push_back(std::move(insn));
            }
        }
    }

    // Of a string: in RAM near the end of a page, elsewhere in RAM, or MMIO.
    u64 string_at() {
        const u64 base = case_.mode == Mode::real16 ? kRealDataAt : kDataAt;
        const u64 page = base + 0x1000 * random_.below(2);
        if (mmio_strings_ && random_.one_in(2) && case_.mode != Mode::real16)
            return kMmioAt + random_.below(0x40);
        if (random_.one_in(2)) return page + 0xFF0 + random_.below(0x20);
        return page + random_.below(0x1000);
    }

    void make_registers() {
        const auto set = [&](Reg reg, u64 v) { case_.registers.emplace_back(reg, v); };
        for (Reg reg : {Reg::rax, Reg::rcx, Reg::rbp, Reg::r9}) {
            if (reg == Reg::r9 && !long_mode(case_.mode)) continue;
            set(reg, wide(value()));
        }
        // A REP with a count of its own choice would go on for ever in a wide register.
        if (random_.one_in(2)) {
            set(Reg::rcx, random_.below(5));
        } else if (long_mode(case_.mode) || case_.mode == Mode::prot32) {
            set(Reg::rcx, random_.below(900));
        }
        constexpr u16 kPorts[] = {0x3F8, 0x60, 0xCF9, 0x80, 0x7E, 0xFFFF};
        set(Reg::rdx, kPorts[random_.below(std::size(kPorts))]);
        set(Reg::rsi, string_at());
        set(Reg::rdi, string_at());
        const u64 mmio = random_.one_in(3) ? 0xFFA + random_.below(12) : random_.below(0x100);
        if (case_.mode == Mode::real16) {
            set(Reg::rbx, mmio);
            set(Reg::fs, kMmioAt >> 4);
            set(Reg::fs_base, kMmioAt);
            if (mmio_strings_) set(Reg::es, kMmioAt >> 4);
            if (mmio_strings_) set(Reg::es_base, kMmioAt);
        } else {
            set(Reg::rbx, kMmioAt + mmio);
        }
        u64 flags = 2 | (random_.next() & kFlags & (random_.one_in(3) ? ~u64{0} : ~u64{0x400}));
        if (random_.one_in(2)) flags |= kIf;
        if (random_.one_in(8)) flags |= kTf;
        set(Reg::rflags, flags);
        const u64 base = case_.mode == Mode::real16 ? kRealDataAt : kDataAt;
        case_.data.push_back({base, {}});
        for (u64 i = 0; i < 0x2020; ++i)
            case_.data.back().bytes.push_back(static_cast<u8>(random_.next()));
    }

    void make_devices() {
        const auto add = [&](bool mmio, u64 address) {
            model::kvm::Device device{mmio, address, {}, false};
            const u64 size = random_.one_in(4) ? 2000 : random_.below(24);
            for (u64 i = 0; i < size; ++i) device.reads.push_back(static_cast<u8>(random_.next()));
            case_.script.devices.push_back(std::move(device));
        };
        for (u64 port : {0x3F8u, 0x60u, 0xCF9u, 0x80u, 0x7Eu, 0x92u}) add(false, port);
        add(true, kMmioAt);
    }

    // Where an instruction starts, or the middle of one now and then.
    u64 code_address() {
        u64 at = kCodeAt;
        const u64 stop = random_.below(case_.code.size() + 1);
        for (u64 i = 0; i < stop; ++i) at += case_.code[i].size();
        return at;
    }

    std::pair<Reg, u64> random_register() {
        constexpr Reg kRegs[] = {Reg::rax, Reg::rcx, Reg::rdx, Reg::rbp, Reg::rsi, Reg::rdi};
        switch (random_.below(8)) {
            case 0:
            case 1:
                return {Reg::rip, code_address()};
            case 2:
                return {Reg::rflags, 2 | (random_.next() & kFlags & ~u64{0x400})};
            case 3:
                return {Reg::rcx, random_.below(6)};
            case 4:
                return {random_.one_in(2) ? Reg::rsi : Reg::rdi, string_at()};
            default: {
                const Reg reg = kRegs[random_.below(4)];
                return {reg, reg == Reg::rcx ? random_.below(9) : wide(value())};
            }
        }
    }

    Action action() {
        Action a;
        const bool user = case_.mode == Mode::long64_cpl3;
        const u64 kind = random_.below(100);
        if (kind < 14) {
            a.kind = ActionKind::get_regs;
        } else if (kind < 34) {
            a.kind = random_.one_in(3) ? ActionKind::sync_regs : ActionKind::set_regs;
            const u64 count = 1 + random_.below(3);
            for (u64 i = 0; i < count; ++i) a.registers.push_back(random_register());
        } else if (kind < 42) {
            a.kind = ActionKind::rewrite_regs;
        } else if (kind < 47) {
            a.kind = ActionKind::rewrite_sregs;
        } else if (kind < 60) {
            a.kind = ActionKind::immediate_exit;
            a.value = 1;
        } else if (kind < 72) {
            a.kind = ActionKind::write_memory;
            a.address = random_.one_in(2) ? code_address() : kCodeAt + random_.below(12);
            const u64 count = 1 + random_.below(3);
            for (u64 i = 0; i < count; ++i) {
                constexpr u8 kBytes[] = {0x90, 0xF9, 0xFC, 0xEC, 0xEE, 0x6C, 0x6E, 0x40};
                a.bytes.push_back(kBytes[random_.below(std::size(kBytes) - long_mode(case_.mode))]);
            }
        } else if (kind < 86 && !user) {
            a.kind = ActionKind::guest_debug;
            a.debug.single_step = !random_.one_in(3);
        } else if (kind < 90 && !user) {
            a.kind = random_.one_in(2) ? ActionKind::interrupt : ActionKind::nmi;
            a.value = 0x20;
        } else if (kind < 93 && !user) {
            a.kind = ActionKind::shadow;
            a.value = random_.below(3);
        } else if (kind < 94) {
            a.kind = ActionKind::move_vcpu;
        } else if (kind < 97) {
            a.kind = ActionKind::answer;
            for (int i = 0; i < 8; ++i) a.bytes.push_back(static_cast<u8>(random_.next()));
        } else {
            a.kind = ActionKind::bad_dirty_regs;
        }
        return a;
    }

    void make_script() {
        case_.script.max_exits = kExits;
        auto& rules = case_.script.rules;
        const u64 count = random_.below(4);
        for (u64 i = 0; i < count; ++i) {
            Rule rule;
            rule.when.number = static_cast<u32>(1 + random_.below(6));
            rule.then.push_back(action());
            if (random_.one_in(4)) rule.then.push_back(action());
            rules.push_back(std::move(rule));
        }
        // Whatever was interrupted goes on.
        Action off, resume;
        off.kind = ActionKind::immediate_exit;
        resume.kind = ActionKind::resume;
        for (Return result : {Return::eintr, Return::einval}) {
            Rule rule;
            rule.when.result = result;
            rule.when.nth = 0;
            rule.then = {off, resume};
            rules.push_back(std::move(rule));
        }
        if (case_.mode == Mode::long64_cpl3) {
            Rule rule;
            rule.when.port = kEndPort;
            Action stop;
            stop.kind = ActionKind::stop;
            rule.then = {stop};
            rules.push_back(std::move(rule));
        }
    }

    Random random_;
    RandomCase case_;
    bool mmio_strings_ = false;
};

}  // namespace

Guest RandomCase::guest() const {
    Guest guest;
    guest.mode = mode;
    guest.ram = kRam;
    std::vector<u8> bytes;
    for (const Bytes& insn : code) bytes.insert(bytes.end(), insn.begin(), insn.end());
    if (mode == Mode::long64_cpl3) {
        bytes.insert(bytes.end(), {0xE6, kEndPort, 0xEB, 0xFC});  // OUT, then again
    } else {
        bytes.insert(bytes.end(), 3, 0xF4);
    }
    guest.memory.push_back({kCodeAt, std::move(bytes)});
    for (const auto& image : data) guest.memory.push_back(image);
    for (std::size_t i = 0; i < vectors.size(); ++i) {
        const u64 at = kHandlersAt + 8 * i;
        guest.gates.push_back({vectors[i], at});
        guest.memory.push_back({at, {0xE6, kHandlerPort, 0xF4, 0xF4}});
    }
    guest.registers = registers;
    guest.registers.emplace_back(Reg::rip, kCodeAt);
    return guest;
}

RandomCase random_case(u64 seed, u64 number, std::span<const Mode> modes) {
    return Maker(seed, number, modes).make();
}

}  // namespace vtlsim::runner::conform_kvm
