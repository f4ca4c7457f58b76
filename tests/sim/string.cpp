// What may happen between the iterations of a REP.
#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

struct Copy : Rig {
    explicit Copy(const char* text = "rep movsb\nnop") : Rig(text) {
        set(Reg::rsi, 0x10000);
        set(Reg::rdi, 0x40000);
        std::vector<u8> data(0x3000);
        for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<u8>(i * 7 + i / 256);
        bytes(0x10000, data);
    }
    bool copied(u64 n) {
        for (u64 i = 0; i < n; ++i) {
            if (byte(0x40000 + i) != byte(0x10000 + i)) return false;
        }
        return byte(0x40000 + n) == 0;
    }
};

}  // namespace

TEST_CASE("REP: all iterations are one step", "[sim]") {
    for (const u64 start : {0u, 1u, 0xFFDu}) {
        Copy rig;
        rig.set(Reg::rsi, 0x10000 + start);
        rig.set(Reg::rdi, 0x40000 + start);
        rig.bytes(0x40000, std::vector<u8>(start, 7));
        rig.set(Reg::rcx, 0x2F00 - start);
        CHECK(is<StepsDone>(rig.run()));
        CHECK(rig.cpu.steps() == 1);
        CHECK(rig.get(Reg::rcx) == 0);
        CHECK(rig.get(Reg::rsi) == 0x12F00);
        CHECK(rig.get(Reg::rdi) == 0x42F00);
        CHECK(rig.get(Reg::rip) == Rig::kCode + 2);
        rig.bytes(0x10000, std::vector<u8>(start, 7));
        CHECK(rig.copied(0x2F00));
    }
}

TEST_CASE("REP: the limit of iterations leaves a state to go on from", "[sim]") {
    for (const char* text : {"cld\nrep movsb", "cld\nrep movsw", "std\nrep movsb"}) {
        Copy whole(text);
        Copy parts(text);
        for (Copy* rig : {&whole, &parts}) {
            rig->set(Reg::rsi, 0x11000);
            rig->set(Reg::rdi, 0x41000);
            rig->set(Reg::rcx, 1000);
        }
        whole.run(2);
        unsigned runs = 1;
        while (is<OutOfWork>(parts.cpu.run({.steps = 2 - parts.cpu.steps(), .iterations = 99}))) {
            CHECK(parts.get(Reg::rcx) == 1000 - 99 * runs);
            CHECK(parts.get(Reg::rip) == Rig::kCode + 1);
            ++runs;
        }
        CHECK(runs == 11);
        CHECK(parts.cpu.state() == whole.cpu.state());
        CHECK(parts.cpu.steps() == whole.cpu.steps());
    }
    // The limit is for a run, not for an instruction.
    Rig rig("mov ecx, 6\nrep stosb\nmov ecx, 6\nrep stosb");
    rig.set(Reg::rdi, 0x4000);
    CHECK(is<OutOfWork>(rig.cpu.run({.steps = 10, .iterations = 10})));
    CHECK(rig.get(Reg::rcx) == 2);
    CHECK(rig.cpu.steps() == 3);
}

TEST_CASE("REP: a page fault leaves what is done, and the rest can follow", "[sim]") {
    Copy rig;
    PageTables tables(rig);
    using T = PageTables;
    for (u64 page = 0; page < 0x60; ++page) {
        if (page != 0x41) tables.map(page << 12, page << 12, T::p | T::w);
    }
    tables.activate();
    rig.set(Reg::rcx, 0x2000);
    const Fault fault = expect<Fault>(rig.run());
    CHECK(fault.vector == Vector::pf);
    CHECK(fault.error_code == 2);
    CHECK(fault.cr2 == 0x41000);
    CHECK(rig.get(Reg::rcx) == 0x1000);
    CHECK(rig.get(Reg::rsi) == 0x11000);
    CHECK(rig.get(Reg::rdi) == 0x41000);
    CHECK(rig.get(Reg::rip) == Rig::kCode);
    CHECK(rig.copied(0x1000));
    tables.map(0x41000, 0x41000, T::p | T::w);
    CHECK(is<StepsDone>(rig.run()));
    CHECK(rig.cpu.steps() == 1);
    CHECK(rig.copied(0x2000));
}

TEST_CASE("REP: a fault of REPE CMPS restores the flags of its start", "[sim]") {
    Copy rig("repe cmpsb");
    rig.machine.set_ram(0, {{0, 0x40FFF}});
    rig.set(Reg::rdi, 0x40FF0);
    rig.set(Reg::rsi, 0x30000);
    rig.set(Reg::rcx, 0x20);
    rig.set(Reg::rflags, flag::cf | flag::sf);
    CHECK(expect<Exit>(rig.run()).gpa == 0x41000);
    CHECK(rig.get(Reg::rcx) == 0x10);
    CHECK(rig.get(Reg::rflags) == (flag::cf | flag::sf | flag::kAlwaysSet));
}

TEST_CASE("REP: with TF there is a trap after each iteration", "[sim]") {
    Copy rig;
    rig.set(Reg::rcx, 3);
    rig.set(Reg::rflags, flag::tf);
    for (u64 left = 3; left-- > 0;) {
        CHECK(expect<Fault>(rig.run(5)) == Fault{.vector = Vector::db});
        CHECK(rig.get(Reg::rcx) == left);
        CHECK(rig.get(Reg::rip) == Rig::kCode + (left == 0 ? 2 : 0));
    }
    CHECK(rig.cpu.steps() == 1);
}

TEST_CASE("REP: observers are asked once and hear of the stores", "[sim]") {
    struct Listener : Observer {
        unsigned asked = 0;
        u64 bytes = 0;
        bool before_instruction(const Cpu&, u64) override {
            ++asked;
            return false;
        }
        void stored(const Cpu&, u64 physical, std::span<const u8> before,
                    std::span<const u8> after) override {
            CHECK(physical == 0x40000 + bytes);
            CHECK(before.size() == after.size());
            bytes += after.size();
        }
    } listener;
    Copy rig;
    rig.machine.watch_page(0x40);
    rig.set(Reg::rcx, 0x1800);
    CHECK(is<StepsDone>(rig.run(1, &listener)));
    CHECK(listener.asked == 1);
    CHECK(listener.bytes == 0x1000);
    CHECK(rig.copied(0x1800));
}

TEST_CASE("REP: an instruction that overwrites itself stops being what it was", "[sim]") {
    // STOSB runs upwards over its own bytes; the HLTs it leaves are met at once.
    Rig rig("nop\nrep stosb\nnop");
    rig.set(Reg::rax, 0xF4);
    rig.set(Reg::rdi, Rig::kCode - 1);
    rig.set(Reg::rcx, 10);
    CHECK(is<Halted>(rig.run(10)));
    CHECK(rig.get(Reg::rip) == Rig::kCode + 2);
    CHECK(rig.get(Reg::rdi) < Rig::kCode + 4);
    CHECK(rig.cpu.steps() == 2);
}

TEST_CASE("REP: copying onto other addresses of the same memory", "[sim]") {
    // Two linear pages are one physical page: 0x20001 is the byte behind 0x10000.
    Rig rig("rep movsb");
    PageTables tables(rig);
    using T = PageTables;
    tables.map(0x1000, 0x1000, T::p | T::w);
    tables.map(0x10000, 0x50000, T::p | T::w);
    tables.map(0x20000, 0x50000, T::p | T::w);
    rig.bytes(0x50000, {0xAB, 0xCD});
    tables.activate();
    rig.set(Reg::rsi, 0x10000);
    rig.set(Reg::rdi, 0x20001);
    rig.set(Reg::rcx, 6);
    CHECK(is<StepsDone>(rig.run()));
    CHECK(rig.word(0x50000) == 0x00ABABABABABABAB);
}
