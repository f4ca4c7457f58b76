// Steps, pauses, the interrupt shadow and window, single step, HLT.
#include <numeric>

#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

class Watcher : public Observer {
  public:
    std::vector<u64> asked;
    std::vector<u64> steps;  // made when asked
    std::vector<std::pair<u64, std::size_t>> stores;
    u64 pause_at = 0;

    bool before_instruction(const Cpu& cpu, u64 rip) override {
        asked.push_back(rip);
        steps.push_back(cpu.steps());
        CHECK(cpu.get(Reg::rip) == rip);
        CHECK(cpu.get(Reg::tsc) == cpu.steps());
        return rip == pause_at;
    }
    void stored(const Cpu&, u64 physical, std::span<const u8>, std::span<const u8> after) override {
        stores.emplace_back(physical, after.size());
    }
};

Fault debug_trap() { return {.vector = Vector::db}; }

}  // namespace

TEST_CASE("steps: exactly as many as asked", "[sim]") {
    Rig rig("again: inc rax\ninc rbx\njmp again");
    CHECK(is<StepsDone>(rig.run(0)));
    CHECK(rig.cpu.steps() == 0);
    CHECK(is<StepsDone>(rig.run(7)));
    CHECK(rig.cpu.steps() == 7);
    CHECK(rig.get(Reg::rax) == 3);
    CHECK(rig.get(Reg::rbx) == 2);
    CHECK(rig.get(Reg::rip) == Rig::kCode + 3);
    CHECK(is<StepsDone>(rig.run(1)));
    CHECK(rig.get(Reg::rbx) == 3);
    CHECK(is<StepsDone>(rig.run(10000)));
    CHECK(rig.cpu.steps() == 10008);
}

TEST_CASE("steps: the state is the same however they are divided", "[sim]") {
    constexpr auto kText = R"(
        mov ecx, 50
    again:
        push rcx
        add rax, rcx
        mov [rsp - 64], rax
        call inner
        pop rcx
        dec ecx
        jnz again
        hlt
    inner:
        add rbx, [rsp - 56]
        ret)";
    Rig whole(kText);
    whole.finish();
    for (const u64 size : {1u, 2u, 3u, 5u, 100u, 10000u}) {
        for (const bool observed : {false, true}) {
            Rig rig(kText);
            Watcher watcher;
            while (!is<Halted>(rig.run(size, observed ? &watcher : nullptr))) {
            }
            CHECK(rig.cpu.state() == whole.cpu.state());
            CHECK(rig.cpu.steps() == whole.cpu.steps());
            if (!observed) continue;
            std::vector<u64> each(whole.cpu.steps());
            std::iota(each.begin(), each.end(), u64{0});
            CHECK(watcher.steps == each);
        }
    }
}

TEST_CASE("observer: pauses before an instruction, and is asked again", "[sim]") {
    Rig rig("nop\ninc rax\nnop\nhlt");
    Watcher watcher;
    watcher.pause_at = Rig::kCode + 1;
    CHECK(is<Paused>(rig.run(10, &watcher)));
    CHECK(rig.cpu.steps() == 1);
    CHECK(rig.get(Reg::rip) == Rig::kCode + 1);
    CHECK(rig.get(Reg::rax) == 0);
    CHECK(is<Paused>(rig.run(10, &watcher)));
    CHECK(rig.cpu.steps() == 1);
    watcher.pause_at = 0;
    CHECK(is<Halted>(rig.run(10, &watcher)));
    CHECK(watcher.asked == std::vector<u64>{0x1000, 0x1001, 0x1001, 0x1001, 0x1004, 0x1005});
}

TEST_CASE("observer: stores to watched pages, also when the page was written before", "[sim]") {
    Rig rig("again: mov [rbx], rax\nmov [rcx], ax\npush rdx\njmp again");
    Watcher watcher;
    rig.set(Reg::rbx, 0x4FFC);  // crosses two pages
    rig.set(Reg::rcx, 0x6000);
    rig.run(4, &watcher);
    CHECK(watcher.stores.empty());
    rig.machine.watch_page(4);
    rig.machine.watch_page(6);
    rig.run(8, &watcher);
    const std::vector<std::pair<u64, std::size_t>> once{{0x4FFC, 4}, {0x6000, 2}};
    auto twice = once;
    twice.insert(twice.end(), once.begin(), once.end());
    CHECK(watcher.stores == twice);
    rig.run(4);  // nobody listens
    CHECK(watcher.stores == twice);
}

TEST_CASE("interrupts: the window opens after the instruction behind STI", "[sim]") {
    Rig rig("nop\nsti\nnop\nnop");
    rig.cpu.set_interrupt_line(true);
    CHECK(is<InterruptWindow>(rig.run(10)));
    CHECK(rig.get(Reg::rip) == Rig::kCode + 3);
    CHECK(rig.get(Reg::shadow) == 0);
    CHECK(rig.cpu.steps() == 3);
    CHECK(is<InterruptWindow>(rig.run(10)));
    CHECK(rig.cpu.steps() == 3);
    rig.cpu.set_interrupt_line(false);
    CHECK(is<StepsDone>(rig.run(1)));
}

TEST_CASE("interrupts: STI with IF already set has no shadow; its shadow survives a pause",
          "[sim]") {
    Rig rig("sti\nnop");
    rig.set(Reg::rflags, flag::if_);
    rig.cpu.set_interrupt_line(true);
    CHECK(is<InterruptWindow>(rig.run(10)));
    CHECK(rig.cpu.steps() == 0);

    Rig masked("sti\nnop\nnop");
    masked.run(1);
    CHECK(masked.get(Reg::shadow) == 1);
    CHECK_FALSE(masked.cpu.interruptible());
    masked.cpu.set_interrupt_line(true);
    CHECK(is<StepsDone>(masked.run(1)));
    CHECK(masked.get(Reg::rip) == Rig::kCode + 2);
    CHECK(masked.cpu.interruptible());
    CHECK(is<InterruptWindow>(masked.run(1)));
}

TEST_CASE("interrupts: CLI behind STI keeps them off", "[sim]") {
    Rig rig("sti\ncli\nnop\nhlt");
    rig.cpu.set_interrupt_line(true);
    CHECK(is<Halted>(rig.run(10)));
}

TEST_CASE("interrupts: POPF may open the window at once", "[sim]") {
    Rig rig("popfq\nnop");
    rig.put(0x8000, 0x202);
    rig.cpu.set_interrupt_line(true);
    CHECK(is<InterruptWindow>(rig.run(10)));
    CHECK(rig.get(Reg::rip) == Rig::kCode + 1);
}

TEST_CASE("HLT: retires, and then nothing happens until something wakes the processor", "[sim]") {
    Rig rig("hlt\nnop");
    CHECK(is<Halted>(rig.run(5)));
    CHECK(rig.cpu.steps() == 1);
    CHECK(rig.get(Reg::rip) == Rig::kCode + 1);
    CHECK(is<Halted>(rig.run(5)));
    CHECK(rig.cpu.steps() == 1);
    rig.cpu.set_interrupt_line(true);
    CHECK(is<Halted>(rig.run(5)));
    rig.set(Reg::rflags, flag::if_);
    CHECK(is<InterruptWindow>(rig.run(5)));
    rig.cpu.set_interrupt_line(false);
    rig.set(Reg::activity, 0);
    CHECK(is<StepsDone>(rig.run(1)));
}

TEST_CASE("single step: a trap after each instruction", "[sim]") {
    Rig rig("nop\ninc rax\nhlt");
    rig.set(Reg::rflags, flag::tf);
    CHECK(is<StepsDone>(rig.run(1)));
    CHECK(rig.get(Reg::pending_debug) == 0x4000);
    CHECK(expect<Fault>(rig.run(1)) == debug_trap());
    CHECK(rig.get(Reg::rip) == Rig::kCode + 1);
    CHECK((rig.get(Reg::dr6) & 0x4000) != 0);
    CHECK(rig.get(Reg::pending_debug) == 0);
    CHECK(rig.cpu.steps() == 1);
    CHECK(expect<Fault>(rig.run(10)) == debug_trap());
    CHECK(rig.get(Reg::rax) == 1);
    // HLT has halted, but the trap behind it wakes the processor.
    CHECK(is<Halted>(rig.run(10)));
    CHECK(expect<Fault>(rig.run(10)) == debug_trap());
    CHECK(rig.get(Reg::activity) == 0);
    CHECK(rig.cpu.steps() == 3);
}

TEST_CASE("single step: the instruction that sets TF does not trap, the next one does", "[sim]") {
    Rig rig("popfq\nnop\nnop");
    rig.put(0x8000, 0x102);
    CHECK(expect<Fault>(rig.run(10)) == debug_trap());
    CHECK(rig.get(Reg::rip) == Rig::kCode + 2);
    // The one that clears it still does.
    rig.put(0x8000, 0x2);
    rig.set(Reg::rsp, 0x8000);
    rig.jump();
    CHECK(expect<Fault>(rig.run(10)) == debug_trap());
    CHECK(rig.get(Reg::rip) == Rig::kCode + 1);
    CHECK(is<StepsDone>(rig.run(1)));
    CHECK(rig.get(Reg::pending_debug) == 0);
}

TEST_CASE("single step: a faulting instruction does not trap", "[sim]") {
    Rig rig("ud2");
    rig.set(Reg::rflags, flag::tf);
    CHECK(expect<Fault>(rig.run()).vector == Vector::ud);
    CHECK(rig.get(Reg::pending_debug) == 0);
}

TEST_CASE("RF: cleared by the instruction that follows, kept by one that faults", "[sim]") {
    Rig rig("ud2\nnop");
    rig.set(Reg::rflags, flag::rf);
    CHECK(is<Fault>(rig.run()));
    CHECK((rig.get(Reg::rflags) & flag::rf) != 0);
    rig.jump(Rig::kCode + 2);
    rig.run();
    CHECK((rig.get(Reg::rflags) & flag::rf) == 0);
}
