// Memory as a value, and the machine's snapshots of it.
#include "sim/memory/memory.hpp"

#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

u8 byte_at(const Memory& memory, u64 address) {
    u8 value = 0;
    memory.read(address, {&value, 1});
    return value;
}
bool write_byte(Memory& memory, u64 address, u8 value) {
    return memory.write(address, {&value, 1});
}

}  // namespace

TEST_CASE("memory: unwritten pages read as zero and do not count", "[sim]") {
    const Memory memory;
    CHECK(byte_at(memory, 0) == 0);
    CHECK(byte_at(memory, ~u64{0}) == 0);
    CHECK(memory.pages() == 0);
}

TEST_CASE("memory: addresses up to 52 bits, in ascending order of pages", "[sim]") {
    Memory memory;
    const u64 top = (u64{1} << kPhysicalBits) - 1;
    REQUIRE(write_byte(memory, top, 3));
    REQUIRE(write_byte(memory, 0x1000, 1));
    REQUIRE(write_byte(memory, 0x40000000, 2));
    CHECK(byte_at(memory, top) == 3);
    CHECK(byte_at(memory, 0x1000) == 1);
    CHECK(memory.pages() == 3);
    std::vector<u64> pages;
    memory.for_each_page([&](u64 page, const u8*) { pages.push_back(page); });
    CHECK(pages == std::vector<u64>{1, 0x40000, top >> kPageShift});

    const std::vector<u8> bytes{7, 8};  // wraps at 2^52
    REQUIRE(memory.write(top, bytes));
    CHECK(byte_at(memory, top) == 7);
    CHECK(byte_at(memory, 0) == 8);
}

TEST_CASE("memory: copies do not see each other's writes", "[sim]") {
    Memory first;
    REQUIRE(write_byte(first, 0x1000, 1));
    REQUIRE(write_byte(first, 0x2000, 1));
    Memory second = first;
    REQUIRE(write_byte(first, 0x1000, 2));
    REQUIRE(write_byte(second, 0x2000, 3));
    const Memory third = second;
    REQUIRE(write_byte(second, 0x1000, 4));
    CHECK(byte_at(first, 0x1000) == 2);
    CHECK(byte_at(first, 0x2000) == 1);
    CHECK(byte_at(second, 0x1000) == 4);
    CHECK(byte_at(second, 0x2000) == 3);
    CHECK(byte_at(third, 0x1000) == 1);
    CHECK(byte_at(third, 0x2000) == 3);
    first = Memory{};
    second = third;
    CHECK(byte_at(first, 0x1000) == 0);
    CHECK(byte_at(second, 0x1000) == 1);
}

TEST_CASE("memory: a write that crosses pages", "[sim]") {
    Memory memory;
    const std::vector<u8> bytes(0x2002, 0xAB);
    REQUIRE(memory.write(0x1FFF, bytes));
    CHECK(byte_at(memory, 0x1FFE) == 0);
    CHECK(byte_at(memory, 0x1FFF) == 0xAB);
    CHECK(byte_at(memory, 0x4000) == 0xAB);
    CHECK(byte_at(memory, 0x4001) == 0);
    CHECK(memory.pages() == 4);
}

TEST_CASE("memory: the page budget refuses new pages only", "[sim]") {
    Memory memory(2);
    REQUIRE(write_byte(memory, 0x1000, 1));
    REQUIRE(write_byte(memory, 0x2000, 1));
    CHECK_FALSE(write_byte(memory, 0x3000, 1));
    CHECK(memory.page_for_write(3) == nullptr);
    CHECK(byte_at(memory, 0x3000) == 0);
    CHECK(write_byte(memory, 0x2000, 2));
    const Memory copy = memory;
    CHECK(write_byte(memory, 0x2000, 3));
    CHECK(byte_at(copy, 0x2000) == 2);
}

TEST_CASE("machine: a store beyond the page budget ends the run", "[sim]") {
    Rig rig("mov [rbx], rax", 2);
    rig.set(Reg::rbx, 0x2000);
    CHECK(is<StepsDone>(rig.run()));
    rig.set(Reg::rip, Rig::kCode);
    rig.set(Reg::rbx, 0x3000);
    CHECK(is<OutOfMemory>(rig.run()));
    CHECK(rig.get(Reg::rip) == Rig::kCode);
}

TEST_CASE("machine: stores after a snapshot do not reach it, and it can be restored", "[sim]") {
    Rig rig("again: mov [rbx], rax\ninc rax\njmp again");
    rig.set(Reg::rbx, 0x2000);
    rig.set(Reg::rax, 1);
    rig.run(3);
    CHECK(rig.word(0x2000) == 1);
    const Memory snapshot = rig.machine.snapshot_memory();
    rig.run(3);
    CHECK(rig.word(0x2000) == 2);
    CHECK(byte_at(snapshot, 0x2000) == 1);
    const Memory later = rig.machine.snapshot_memory();
    rig.machine.set_memory(snapshot);
    CHECK(rig.word(0x2000) == 1);
    rig.run(3);
    CHECK(rig.word(0x2000) == 3);
    CHECK(byte_at(snapshot, 0x2000) == 1);
    CHECK(byte_at(later, 0x2000) == 2);
}

TEST_CASE("machine: a page that was read before it existed is seen once it is written", "[sim]") {
    Rig rig("mov rax, [rbx]\nmov [rbx], rcx\nmov rdx, [rbx]");
    rig.set(Reg::rbx, 0x5000);
    rig.set(Reg::rcx, 0x77);
    rig.run(3);
    CHECK(rig.get(Reg::rax) == 0);
    CHECK(rig.get(Reg::rdx) == 0x77);
    rig.put(0x5000, 0x99);
    rig.set(Reg::rip, Rig::kCode);
    rig.run(1);
    CHECK(rig.get(Reg::rax) == 0x99);
}

TEST_CASE("machine: processors share memory", "[sim]") {
    Rig rig("mov [rbx], rax");
    Cpu& other = rig.machine.add_cpu();
    rig.code(0x3000, "mov rcx, [rbx]\nmov rdx, [rbx]");
    other.set(Reg::rip, 0x3000);
    other.set(Reg::rbx, 0x2000);
    other.run({.steps = 1});
    rig.set(Reg::rbx, 0x2000);
    rig.set(Reg::rax, 5);
    rig.run();
    other.run({.steps = 1});
    CHECK(other.get(Reg::rcx) == 0);
    CHECK(other.get(Reg::rdx) == 5);
}
