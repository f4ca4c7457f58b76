// Instructions that read memory in two accesses of their own, one after the other: BOUND, and the
// far pointers of LDS LES LFS LGS LSS, JMP and CALL. Which fault comes first, across pages and
// segment limits. That the second address is cut to the address size again is what silicon does (an
// AMD Zen, in a 32-bit code segment).
#include <fmt/format.h>

#include "tests/catch.hpp"
#include "tests/sim/modes_rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr u64 kDirectory = 0x10000, kTable = 0x11000, kPage = 0x300000;

// 32-bit code with 32-bit paging: linear is physical, but the page behind kPage is not there.
class PagedRig : public ModeRig {
  public:
    explicit PagedRig(std::string_view text) : ModeRig(text) {
        for (u64 i = 0; i < 1024; i += 2) put(kTable + 4 * i, entry(i) | entry(i + 1) << 32);
        absent(kPage + kPageSize);
        put(kDirectory, kTable | 7);
        set(Reg::cr3, kDirectory);
        set(Reg::cr0, 0x80010031);
    }
    void absent(u64 address) {
        const u64 at = kTable + 4 * (address >> kPageShift);
        put(at, word(at) & ~u64{1});
    }

  private:
    static u64 entry(u64 page) { return page << kPageShift | 7; }
};

struct Instruction {
    const char* text;  // of EBX, or BX
    unsigned first;    // bytes of the first access
};
constexpr Instruction kPointers[] = {
    {"les ecx, [ebx]", 4},      {"lds ecx, [ebx]", 4},       {"lfs ecx, [ebx]", 4},
    {"lgs ecx, [ebx]", 4},      {"lss ecx, [ebx]", 4},       {"les cx, [ebx]", 2},
    {"lds cx, [ebx]", 2},       {"lfs cx, [ebx]", 2},        {"lgs cx, [ebx]", 2},
    {"lss cx, [ebx]", 2},       {"bound ecx, [ebx]", 4},     {"bound cx, [ebx]", 2},
    {"jmp dword far [ebx]", 4}, {"call dword far [ebx]", 4}, {"jmp word far [ebx]", 2}};

// What the instruction ends in, with nothing changed.
std::string refused(PagedRig& r) {
    const CpuState before = r.cpu.state();
    const Outcome outcome = r.run();
    CHECK(r.cpu.state() == before);
    const auto* fault = std::get_if<Fault>(&outcome);
    if (fault == nullptr) return "no fault";
    return fmt::format("{}({:x}) {:x}", static_cast<int>(fault->vector), fault->error_code,
                       fault->cr2);
}

}  // namespace

TEST_CASE("two accesses: the page that is not there is the fault's address", "[modes]") {
    for (const Instruction& insn : kPointers) {
        INFO(insn.text);
        PagedRig r(insn.text);
        const u64 end = kPage + kPageSize;
        // The second half alone is in the absent page.
        r.set(Reg::rbx, end - insn.first);
        CHECK(refused(r) == fmt::format("14(0) {:x}", end));
        // The first half crosses into it.
        r.set(Reg::rbx, end - 1);
        CHECK(refused(r) == fmt::format("14(0) {:x}", end));
        // Both are in it.
        r.set(Reg::rbx, end + 8);
        CHECK(refused(r) == fmt::format("14(0) {:x}", end + 8));
    }
}

TEST_CASE("two accesses: the first one's page fault comes before the second one's limit",
          "[modes]") {
    for (const Instruction& insn : kPointers) {
        INFO(insn.text);
        PagedRig r(insn.text);
        const u64 at = kPage + kPageSize + 0x10;
        r.set(Reg::rbx, at);
        r.set(Reg::ds_limit, at + insn.first - 1);
        CHECK(refused(r) == fmt::format("14(0) {:x}", at));
        // The limit cuts the first one.
        r.set(Reg::ds_limit, at + insn.first - 2);
        CHECK(refused(r) == "13(0) 0");
        // All is mapped, and the second one is outside.
        r.set(Reg::rbx, kPage);
        r.set(Reg::ds_limit, kPage + insn.first - 1);
        CHECK(refused(r) == "13(0) 0");
    }
}

TEST_CASE("two accesses: a far pointer may cross two pages that are there", "[modes]") {
    PagedRig r("les ecx, [ebx]\njmp dword far [ebx]");
    const u64 at = kPage - 4;
    r.set(Reg::rbx, at);
    r.put(at, 0x7000 | u64{ModeRig::kUserData & ~3u} << 32);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rcx) == 0x7000);
    CHECK(r.get(Reg::es) == (ModeRig::kUserData & ~3u));
    r.put(at, 0x7000 | u64{ModeRig::kCode32} << 32);
    REQUIRE(is<StepsDone>(r.run()));
    CHECK(r.get(Reg::rip) == 0x7000);
}
