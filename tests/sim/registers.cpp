// The register list and the state derived from it.
#include <set>

#include "sim/exec/cpu.hpp"
#include "tests/catch.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;

TEST_CASE("registers: the list is in order, its names are unique and can be found", "[sim]") {
    std::set<std::string_view> names;
    std::size_t i = 0;
    for (const RegInfo& row : registers()) {
        INFO(row.name);
        CHECK(index_of(row.reg) == i++);
        CHECK(names.insert(row.name).second);
        CHECK(find_register(row.name) == &row);
        CHECK(row.bits >= 1);
        CHECK(row.bits <= (is_vector(row.reg) ? 128 : 64));
        CHECK_FALSE(row.source.empty());
    }
    CHECK(find_register("") == nullptr);
    CHECK(find_register("RAX") == nullptr);
    CHECK(find_register("eax") == nullptr);
    CHECK(gpr(3) == Reg::rbx);
    CHECK(selector_of(Seg::gs) == Reg::gs);
    CHECK(offset(Reg::xmm0, 15) == Reg::xmm15);
}

TEST_CASE("registers: values after RESET#", "[sim]") {
    const CpuState s = reset_state();
    CHECK(s[Reg::rip] == 0xFFF0);
    CHECK(s[Reg::rflags] == 2);
    CHECK(s[Reg::cs] == 0xF000);
    CHECK(s[Reg::cs_base] == 0xFFFF0000);
    CHECK(s[Reg::ds_attr] == 0x93);
    CHECK(s[Reg::cr0] == 0x60000010);
    CHECK(s[Reg::dr6] == 0xFFFF0FF0);
    CHECK(s[Reg::dr7] == 0x400);
    CHECK(s[Reg::mxcsr] == 0x1F80);
    CHECK(s[Reg::pat] == 0x0007040600070406);
    CHECK(s[Reg::efer] == 0);
}

TEST_CASE("registers: a bare processor starts in 64-bit mode", "[sim]") {
    Machine machine;
    const CpuState s = machine.add_cpu().state();
    CHECK(s[Reg::cr0] == 0x80010033);
    CHECK(s[Reg::cr4] == 0x620);
    CHECK(s[Reg::efer] == 0xD00);
    CHECK(s[Reg::fcw] == 0x37F);
    CHECK(s[Reg::mxcsr] == 0x1F80);
    CHECK(s[Reg::rflags] == 2);
    CHECK(cpl(s) == 0);
    CHECK(s == long_mode_state());
}

TEST_CASE("registers: every one keeps what is set, cut to its width", "[sim]") {
    Machine machine;
    Cpu& cpu = machine.add_cpu();
    for (const RegInfo& row : registers()) {
        INFO(row.name);
        cpu.set_state(long_mode_state());
        const u64 all = row.bits >= 64 ? ~u64{0} : (u64{1} << row.bits) - 1;
        const u64 expected = row.reg == Reg::rflags ? flag::kDefined | flag::kAlwaysSet : all;
        cpu.set(row.reg, ~u64{0});
        CHECK(cpu.get(row.reg) == expected);
        CHECK(cpu.state().get(row.reg) == Vec128{expected, 0});
        CpuState s = long_mode_state();
        s.set(row.reg, {~u64{0}, ~u64{0}});
        if (is_vector(row.reg)) CHECK(s.vec(row.reg).hi == (row.bits == 80 ? 0xFFFF : ~u64{0}));
        cpu.set_state(s);
        if (row.reg != Reg::rflags) CHECK(cpu.state() == s);
    }
}
