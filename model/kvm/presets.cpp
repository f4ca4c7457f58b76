#include "model/kvm/presets.hpp"

#include <algorithm>

namespace vtlsim::model::kvm {
namespace {

constexpr u64 kTf = 0x100, kIf = 0x200;
constexpr u8 kVector = 0x20;   // p11
constexpr u8 kSipiVector = 8;  // p6: the AP starts at 8000h
constexpr u64 kUninitialized = 1;

const u64* find(const GuestLabels& labels, std::string_view name) {
    const auto it = std::find_if(labels.begin(), labels.end(),
                                 [&](const auto& label) { return label.second == name; });
    return it == labels.end() ? nullptr : &it->first;
}

Action make(ActionKind kind, u64 value = 0) {
    Action a;
    a.kind = kind;
    a.value = value;
    return a;
}

Action single_step() {
    Action a = make(ActionKind::guest_debug);
    a.debug.single_step = true;
    return a;
}

void at_access(Script& script, std::vector<Action> actions) {
    Rule rule;
    rule.when.access = true;
    rule.then = std::move(actions);
    script.rules.push_back(std::move(rule));
}

void when_returned(Script& script, Return result, std::vector<Action> actions) {
    Rule rule;
    rule.when.result = result;
    rule.then = std::move(actions);
    script.rules.push_back(std::move(rule));
}

void set_flags(Guest& guest, u64 flags) {
    const u64 now = initial_state(guest)[sim::Reg::rflags];
    guest.registers.emplace_back(sim::Reg::rflags, now | flags);
}

// The bytes at a label, up to the end of the part of memory that it is in.
std::vector<u8> bytes_at(const Guest& guest, u64 address) {
    for (const MemoryImage& image : guest.memory) {
        if (address < image.address || address >= image.address + image.bytes.size()) continue;
        return {image.bytes.begin() + static_cast<std::ptrdiff_t>(address - image.address),
                image.bytes.end()};
    }
    return {};
}

}  // namespace

std::vector<std::string> preset_problems(Act act, const GuestLabels& labels) {
    std::vector<std::string> problems;
    const auto needs = [&](std::string_view name) {
        if (find(labels, name) == nullptr) {
            problems.push_back("this act needs the guest's label \"" + std::string(name) + "\"");
        }
    };
    if (act == Act::p2) needs("other");
    if (act == Act::p13) {
        needs("access");
        needs("patch");
    }
    return problems;
}

void apply_preset(Act act, const GuestLabels& labels, Guest& guest, Script& script) {
    switch (act) {
        case Act::p0:
        case Act::p5:  // p4 with a guest that starts at FFFFFFF0h
            if (act == Act::p5) at_access(script, {make(ActionKind::reset_bsp)});
            break;
        case Act::p1:
            at_access(script, {make(ActionKind::get_regs)});
            break;
        case Act::p2: {
            Action a = make(ActionKind::set_regs);
            a.registers.emplace_back(sim::Reg::rip, *find(labels, "other"));
            at_access(script, {a});
            break;
        }
        case Act::p3:
            at_access(script, {make(ActionKind::rewrite_regs)});
            break;
        case Act::p4:
            at_access(script, {make(ActionKind::reset_bsp)});
            break;
        case Act::p6:
            at_access(script, {make(ActionKind::mp_state, kUninitialized),
                               make(ActionKind::init_sipi, kSipiVector)});
            when_returned(script, Return::eagain, {make(ActionKind::resume)});
            break;
        case Act::p7:
            at_access(script, {make(ActionKind::immediate_exit, 1)});
            when_returned(script, Return::eintr,
                          {make(ActionKind::immediate_exit, 0), make(ActionKind::resume)});
            break;
        case Act::p8:
            at_access(script, {make(ActionKind::move_vcpu)});
            break;
        case Act::p9:
            script.start.push_back(single_step());
            break;
        case Act::p10:
            set_flags(guest, kTf);
            break;
        case Act::p11:
            set_flags(guest, kIf);
            at_access(script, {make(ActionKind::interrupt, kVector)});
            break;
        case Act::p12:
            script.start.push_back(make(ActionKind::shadow, 1));
            break;
        case Act::p13: {
            Action a = make(ActionKind::write_memory);
            a.address = *find(labels, "access");
            a.bytes = bytes_at(guest, *find(labels, "patch"));
            at_access(script, {a});
            break;
        }
        case Act::p14:
            at_access(script, {single_step()});
            break;
    }
}

}  // namespace vtlsim::model::kvm
