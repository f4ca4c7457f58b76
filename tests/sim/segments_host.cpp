// 16- and 32-bit code with segments of an LDT beside the CPU that runs the tests, at CPL 3 by
// ptrace: limits at both ends, expand-down and read-only segments, 16-bit stacks, what loading a
// selector checks, far transfers between code of both sizes.
#include <asm/ldt.h>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <sys/syscall.h>

#include <fmt/format.h>

#include "runner/exec_request.hpp"
#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"
#include "tests/sim/traced_child.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr u64 kCodeAt = 0x20001000, kDataAt = 0x20010000, kDataSize = 0x20000;
constexpr u64 kTableAt = 0x30000000;  // the simulator's LDT
constexpr u64 kStartAt = 0x800;       // of the code's page: random targets rarely come here
// Expand-down segments of 64 KiB end where the data ends.
constexpr u64 kMiddle = kDataAt + 0x10000;

// As modify_ldt(2) takes them: contents 0 data, 1 expand-down data, 2 code (Linux has
// no conforming code that is present).
struct Segment {
    const char* name;
    u64 base;
    u32 limit;
    unsigned contents;
    bool wide = false;   // D/B
    bool plain = false;  // read-only data, execute-only code
    bool pages = false;
    bool absent = false;
};
constexpr Segment kSegments[] = {
    {.name = "code16", .base = kCodeAt, .limit = 0xFFF, .contents = 2},
    {.name = "code32", .base = kCodeAt, .limit = 0xFFF, .contents = 2, .wide = true},
    {.name = "blind32",
     .base = kCodeAt,
     .limit = 0xFFF,
     .contents = 2,
     .wide = true,
     .plain = true},
    {.name = "absent code", .base = kCodeAt, .limit = 0xFFF, .contents = 2, .absent = true},
    {.name = "data", .base = kDataAt, .limit = 0x1FF, .contents = 0},
    {.name = "data32", .base = kDataAt, .limit = 0x1FF, .contents = 0, .wide = true},
    {.name = "64 KiB", .base = kDataAt, .limit = 0xFFFF, .contents = 0},
    {.name = "64 KiB, 32", .base = kDataAt, .limit = 0xFFFF, .contents = 0, .wide = true},
    {.name = "a page", .base = kDataAt, .limit = 0, .contents = 0, .wide = true, .pages = true},
    {.name = "down", .base = kMiddle - 0x8000, .limit = 0xFF, .contents = 1},
    {.name = "down, half", .base = kMiddle - 0x8000, .limit = 0x7FFF, .contents = 1},
    {.name = "down, 4 GiB", .base = kMiddle - 0x8000, .limit = 0xFF, .contents = 1, .wide = true},
    {.name = "read-only", .base = kDataAt, .limit = 0x1FF, .contents = 0, .plain = true},
    {.name = "down, read-only", .base = kMiddle, .limit = 0xFF, .contents = 1, .plain = true},
    {.name = "absent", .base = kDataAt, .limit = 0x1FF, .contents = 0, .absent = true},
};
constexpr std::size_t kSegmentCount = std::size(kSegments);
constexpr u64 selector(std::size_t entry) { return entry << 3 | 7; }
enum : std::size_t { kCode16 = 0, kCode32 = 1, kFirstData = 4 };

// Present segments have been accessed, as modify_ldt makes them (SDM 3A 3.4.5).
u64 descriptor(const Segment& s) {
    const u64 type = s.contents << 2 | (s.plain ? 0u : 2u) | 1u;
    const u64 low = (s.limit & 0xFFFF) | (s.base & 0xFFFFFF) << 16;
    const u64 access = type | 0xF0u;
    const u64 high =
        u64{s.limit} >> 16 | 1u << 4 | (s.wide ? 4u : 0u) << 4 | (s.pages ? 8u : 0u) << 4;
    return low | (access & (s.absent ? ~0x80u : ~0u)) << 40 | high << 48 | s.base >> 24 << 56;
}

bool make_table() {
    for (std::size_t i = 0; i < kSegmentCount; ++i) {
        const Segment& s = kSegments[i];
        user_desc d{};
        d.entry_number = static_cast<unsigned>(i);
        d.base_addr = static_cast<unsigned>(s.base);
        d.limit = s.limit;
        d.seg_32bit = s.wide;
        d.contents = s.contents & 3;
        d.read_exec_only = s.plain;
        d.limit_in_pages = s.pages;
        d.seg_not_present = s.absent;
        d.useable = 1;
        if (syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)) != 0) return false;
    }
    return true;
}

// What is asked of both: {} is a memory operand. The long ones of the x87 have 32-bit addresses
// only: an AMD Zen cuts 16-bit ones anew for their parts (docs/limitations.md).
constexpr const char* kTexts[] = {
    "mov al, {}",
    "mov {}, ax",
    "mov eax, {}",
    "add {}, ecx",
    "xchg {}, cx",
    "cmp dword {}, 1",
    "not byte {}",
    "movups xmm0, {}",
    "movups {}, xmm1",
    "movq {}, xmm1",
    "fld tword [ebx]",
    "fnstcw {}",
    "fnstenv [ebx]",
    "push word {}",
    "push dword {}",
    "pop word {}",
    "pop dword {}",
    "les cx, {}",
    "lds ecx, {}",
    "lfs dx, {}",
    "bound cx, {}",
    "jmp word far {}",
    "push ax",
    "push eax",
    "pop cx",
    "pop ecx",
    "pusha",
    "pushad",
    "popa",
    "popad",
    "pushf",
    "pushfd",
    "enter 8, 0",
    "enter 4, 2",
    "leave",
    "call next\nnop\nnext: nop",
    "ret",
    "o32 ret",
    "ret 4",
    "push cs\npush si\no16 retf",
    "push es",
    "pop ds",
    "push fs",
    "pop es",
    "pop ss",
    "movsb",
    "movsd",
    "stosw",
    "lodsd",
    "cmpsb",
    "scasw",
    "rep movsb",
    "rep stosd",
    "rep lodsw",
    "repne scasb",
    "repe cmpsw",
    "xlat",
    "mov ds, dx",
    "mov es, dx",
    "mov fs, dx",
    "mov ss, dx",
    "lar ecx, edx",
    "lar cx, dx",
    "lsl ecx, edx",
    "lsl cx, dx",
    "verr dx",
    "verw dx",
    "mov gs, dx\nmov al, [gs:0x10]",
    "loop next\nnop\nnext: nop",
    "jcxz next\nnop\nnext: nop",
};

struct Program {
    std::string text;
    std::vector<u8> code;
    std::vector<u8> data;
};

using Native = user_regs_struct;
struct Compared {
    const char* name;
    Reg reg;
    unsigned long long Native::*native;
};
constexpr Compared kCompared[] = {
    {"eax", Reg::rax, &Native::rax}, {"ebx", Reg::rbx, &Native::rbx},
    {"ecx", Reg::rcx, &Native::rcx}, {"edx", Reg::rdx, &Native::rdx},
    {"esi", Reg::rsi, &Native::rsi}, {"edi", Reg::rdi, &Native::rdi},
    {"esp", Reg::rsp, &Native::rsp}, {"ebp", Reg::rbp, &Native::rbp},
    {"eip", Reg::rip, &Native::rip}, {"eflags", Reg::rflags, &Native::eflags},
    {"cs", Reg::cs, &Native::cs},    {"ss", Reg::ss, &Native::ss},
    {"ds", Reg::ds, &Native::ds},    {"es", Reg::es, &Native::es},
    {"fs", Reg::fs, &Native::fs},    {"gs", Reg::gs, &Native::gs},
};
constexpr std::size_t kFlagsAt = 9;
static_assert(kCompared[kFlagsAt].reg == Reg::rflags);

// At the end of the stack an AMD Zen has popped or pushed some of them before it faults; here
// nothing has changed.
bool leaves_parts(std::string_view text) {
    return text.starts_with("pusha") || text.starts_with("popa") || text.starts_with("enter");
}

// Linux' signal for the exception that ended the program.
struct Answer {
    int signal = 0;
    std::array<u64, std::size(kCompared)> registers{};
    std::vector<u8> data;
    bool operator==(const Answer&) const = default;
};

constexpr u64 kComparedFlags = flag::kStatus | flag::df;

int signal_of(const Outcome& outcome) {
    switch (expect<Fault>(outcome).vector) {
        case Vector::bp:
            return SIGTRAP;
        case Vector::ss:
        case Vector::np:
            return SIGBUS;
        case Vector::gp:
        case Vector::pf:
        case Vector::br:
            return SIGSEGV;
        case Vector::ud:
            return SIGILL;
        default:
            return 0;
    }
}

// What both start with. Only CS is not flat or null.
struct Start {
    std::array<u64, 8> gpr{};  // as in kCompared
    u64 cs = 0;
};

std::optional<Answer> simulated(const Program& program, const Start& start) {
    Rig rig;
    PageTables tables(rig);
    for (u64 page = kDataAt; page < kDataAt + kDataSize; page += kPageSize) {
        tables.map(page, page, PageTables::p | PageTables::w | PageTables::u);
    }
    tables.map(kCodeAt, kCodeAt, PageTables::p | PageTables::w | PageTables::u);
    tables.map(kTableAt, kTableAt, PageTables::p | PageTables::w);
    CpuState s = runner::exec_state(runner::ExecMode::compat32, 3);
    for (const Seg seg : {Seg::ds, Seg::es, Seg::fs, Seg::gs}) {
        s[selector_of(seg)] = 0;
        s[attr_of(seg)] = attr::kUnusable;
    }
    const Segment& code = kSegments[start.cs >> 3];
    s[Reg::cs] = start.cs;
    s[Reg::cs_base] = code.base;
    s[Reg::cs_limit] = code.limit;
    s[Reg::cs_attr] = descriptor(code) >> 40 & 0xF0FF;
    s[Reg::ss] = 0x2B;
    s[Reg::ldtr] = 0x50;
    s[Reg::ldtr_base] = kTableAt;
    s[Reg::ldtr_limit] = kSegmentCount * 8 - 1;
    s[Reg::ldtr_attr] = 0x82;
    s[Reg::gdtr_limit] = 0;
    s[Reg::rflags] = 0x202;
    s[Reg::rip] = kStartAt;
    for (std::size_t i = 0; i < start.gpr.size(); ++i) s[kCompared[i].reg] = start.gpr[i];
    for (std::size_t i = 0; i < kSegmentCount; ++i) {
        rig.put(kTableAt + i * 8, descriptor(kSegments[i]));
    }
    rig.bytes(kCodeAt, program.code);
    rig.bytes(kDataAt, program.data);
    rig.cpu.set_state(s);
    tables.activate();

    Answer answer;
    const Outcome outcome = rig.run(1000);
    if (is<StepsDone>(outcome)) return std::nullopt;  // a RET to the start of the program
    answer.signal = signal_of(outcome);
    for (std::size_t i = 0; i < answer.registers.size(); ++i) {
        answer.registers[i] = rig.get(kCompared[i].reg) & 0xFFFFFFFF;
    }
    answer.data.resize(kDataSize);
    rig.machine.read(kDataAt, answer.data);
    return answer;
}

Answer native(TracedChild& child, const Program& program, const Start& start) {
    REQUIRE(child.write(kCodeAt, program.code));
    REQUIRE(child.write(kDataAt, program.data));
    user_regs_struct regs{};
    REQUIRE(child.get(regs));
    for (std::size_t i = 0; i < start.gpr.size(); ++i) regs.*kCompared[i].native = start.gpr[i];
    regs.ds = regs.es = regs.fs = regs.gs = 0;
    regs.fs_base = regs.gs_base = 0;
    regs.cs = start.cs;
    regs.ss = 0x2B;
    regs.rip = kStartAt;
    regs.eflags = 0x202;
    REQUIRE(child.set(regs));
    REQUIRE(child.reset_fpu());
    REQUIRE(child.go());
    REQUIRE(child.get(regs));
    siginfo_t info{};
    REQUIRE(child.signal(info));
    Answer answer;
    answer.signal = info.si_signo;
    for (std::size_t i = 0; i < answer.registers.size(); ++i) {
        answer.registers[i] = regs.*kCompared[i].native & 0xFFFFFFFF;
    }
    answer.data = child.read(kDataAt, kDataSize);
    return answer;
}

class Generator {
  public:
    explicit Generator(u64 seed) : random_(seed) {
        data_.resize(kDataSize);
        for (std::size_t at = 0; at < data_.size(); at += 2) {
            const u64 word = one_in(2) ? any_selector() : random_() | 4;  // not of the GDT
            std::memcpy(&data_[at], &word, 2);
        }
    }

    Start start() {
        Start start;
        for (u64& reg : start.gpr) reg = offset();
        start.gpr[2] = one_in(2) ? random_() % 8 : offset();  // RCX counts
        start.gpr[3] = any_selector();                        // RDX is loaded
        start.cs = selector(one_in(2) ? kCode16 : kCode32);
        return start;
    }

    Program program(const char* text, const Start& start) {
        const bool wide = kSegments[start.cs >> 3].wide;
        Program program;
        program.data = data_;
        program.text = fmt::format(
            "bits {}\nmov bx, {}\nmov ds, bx\nmov bx, {}\nmov es, bx\nmov bx, {}\nmov ss, bx\n"
            "mov esp, {}\nmov ebx, {}\n",
            wide ? 32 : 16, data_selector(), data_selector(), data_selector(), offset(), offset());
        program.text += fmt::format(fmt::runtime(text), memory());
        AsmOptions options;
        options.origin = kStartAt;
        const AsmResult code = assemble(program.text, options);
        if (!code.ok()) FAIL(program.text << code.errors.front().message);
        program.code.assign(kPageSize, 0xCC);
        std::copy(code.bytes.begin(), code.bytes.end(), program.code.begin() + kStartAt);
        return program;
    }

  private:
    bool one_in(u64 n) { return random_() % n == 0; }
    // Near the ends of segments, and of what 16 bits can say.
    u64 offset() {
        constexpr std::array<u64, 8> kEdges{0,      0x100,  0x200,   0x1000,
                                            0x8000, 0xFFFE, 0x10000, 0x100000000};
        const u64 near = kEdges[random_() % kEdges.size()] + random_() % 24 - 12;
        const u64 upper = one_in(4) ? random_() << 16 : 0;
        return one_in(8) ? random_() & 0xFFFFFFFF : (near ^ upper) & 0xFFFFFFFF;
    }
    u64 any_selector() {
        if (one_in(12)) return random_() % 4;
        const u64 entry = random_() % (kSegmentCount + 2);
        return selector(entry) & ~(one_in(4) ? random_() % 4 : 0);
    }
    u64 data_selector() { return selector(kFirstData + random_() % (kSegmentCount - kFirstData)); }
    const char* memory() {
        constexpr std::array kForms{"[bx]",    "[bp]",     "[si + 2]", "[bp + di]",
                                    "[ebx]",   "[ebp]",    "[esp]",    "[ebx + esi*2]",
                                    "[es:bx]", "[es:ebx]", "[ss:bx]",  "[cs:bx]",
                                    "[fs:bx]", "[0xFFFE]", "[ds:ebp]", "[edi - 4]"};
        return kForms[random_() % kForms.size()];
    }

    std::mt19937_64 random_;
    std::vector<u8> data_;
};

std::string describe(const Answer& answer) {
    std::string text = fmt::format("signal {}", answer.signal);
    for (std::size_t i = 0; i < answer.registers.size(); ++i) {
        text += fmt::format(" {} {:x}", kCompared[i].name, answer.registers[i]);
    }
    return text;
}

}  // namespace

TEST_CASE("segments: of an LDT, as the host has them", "[modes][host]") {
#ifdef VTLSIM_ADDRESS_SANITIZER
    VTLSIM_SKIP("the sanitizer's shadow memory lies where the cases expect nothing");
#endif
    if (!host_is_amd()) VTLSIM_SKIP("compared with AMD's processors only");
    TracedChild child({{kCodeAt, kPageSize}, {kDataAt, kDataSize}}, make_table);
    if (!child.stopped()) VTLSIM_SKIP("no LDT with 16-bit segments here");
    Generator generator(1);
    std::map<int, u64> signals;
    for (const char* text : kTexts) {
        for (int round = 0; round < 100; ++round) {
            const Start start = generator.start();
            const Program program = generator.program(text, start);
            std::optional<Answer> ours = simulated(program, start);
            if (!ours) continue;
            Answer theirs = native(child, program, start);
            ++signals[theirs.signal];
            for (Answer* answer : {&*ours, &theirs}) answer->registers[kFlagsAt] &= kComparedFlags;
            INFO(program.text << "\nours:   " << describe(*ours)
                              << "\ntheirs: " << describe(theirs));
            CHECK(ours->signal == theirs.signal);
            if (theirs.signal != SIGTRAP && leaves_parts(text)) continue;
            // SCAS and CMPS: the manual gives back the flags of before (SDM 2B REP), an AMD Zen
            // those of the iteration before.
            if (theirs.signal != SIGTRAP && std::string_view(text).starts_with("rep")) {
                ours->registers[kFlagsAt] = theirs.registers[kFlagsAt] = 0;
            }
            CHECK(ours->registers == theirs.registers);
            CHECK((ours->data == theirs.data));
        }
    }
    // Each way to end has been met often.
    CHECK(signals[SIGTRAP] > 1000);
    CHECK(signals[SIGSEGV] > 1000);
    CHECK(signals[SIGBUS] > 500);
}
