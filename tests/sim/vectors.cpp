#include "tests/sim/vectors.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "sim/asm/assembler.hpp"

namespace vtlsim::tests {
namespace {

using namespace vtlsim::sim;

struct FlagName {
    std::string_view name;
    u64 bit;
};
constexpr FlagName kFlags[] = {
    {"cf", flag::cf}, {"pf", flag::pf},  {"af", flag::af}, {"zf", flag::zf}, {"sf", flag::sf},
    {"of", flag::of}, {"if", flag::if_}, {"df", flag::df}, {"ac", flag::ac}, {"tf", flag::tf},
    {"nt", flag::nt}, {"rf", flag::rf},  {"id", flag::id},
};

struct ModeName {
    std::string_view name;
    CodeMode mode;
};
constexpr ModeName kModes[] = {
    {"real16", CodeMode::real16},
    {"prot16", CodeMode::prot16},
    {"prot32", CodeMode::prot32},
    {"compat32", CodeMode::compat32},
};

constexpr AsmMode asm_mode(CodeMode mode) {
    if (mode == CodeMode::long64) return AsmMode::bits64;
    return is_32bit(mode) ? AsmMode::bits32 : AsmMode::bits16;
}

std::optional<u64> hex(std::string_view text) {
    u64 value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// One item of the inputs or outputs. Answers what is wrong with it.
class ItemReader {
  public:
    ItemReader(VectorCase& c, bool output) : c_(c), output_(output) {}

    std::string read(std::string_view item) {
        if (output_ && (item.front() == '#' || item == "halt" || item == "exit")) {
            c_.outcome = item;
            return "";
        }
        const std::size_t equals = item.find('=');
        if (equals == std::string_view::npos) return "no '='";
        const std::string_view name = item.substr(0, equals);
        const std::string_view value = item.substr(equals + 1);
        if (name == "mode") return output_ ? "an input only" : mode(value);
        if (name.front() == '[') return memory(name, value);
        if (name == "flags") return status(value);
        for (const FlagName& f : kFlags) {
            if (f.name == name) return one_flag(f.bit, value);
        }
        return register_value(name, value);
    }

  private:
    std::string mode(std::string_view value) {
        for (const ModeName& m : kModes) {
            if (m.name != value) continue;
            c_.mode = m.mode;
            return "";
        }
        return "no such mode";
    }

    std::string memory(std::string_view name, std::string_view value) {
        const auto address = hex(name.substr(1, name.size() - 2));
        if (!address || name.back() != ']' || value.size() % 2 != 0) return "not [address]=bytes";
        for (std::size_t i = 0; i < value.size() / 2; ++i) {
            const auto byte = hex(value.substr(2 * i, 2));
            if (!byte) return "not hexadecimal bytes";
            (output_ ? c_.memory_out : c_.memory_in)[*address + i] = static_cast<u8>(*byte);
        }
        return "";
    }

    std::string status(std::string_view value) {
        u64 bits = 0;
        for (const char letter : value) {
            const auto at = std::string_view("cpazso").find(letter);
            if (at == std::string_view::npos) return "flags are letters of oszapc";
            bits |= kFlags[at].bit;
        }
        set_flags(flag::kStatus, bits);
        return "";
    }

    std::string one_flag(u64 bit, std::string_view value) {
        if (value == "keep" && output_) {
            c_.flags_changed &= ~bit;
            return "";
        }
        if (value != "0" && value != "1") return "a flag is 0 or 1";
        set_flags(bit, value == "1" ? bit : 0);
        return "";
    }

    void set_flags(u64 mask, u64 bits) {
        u64& values = output_ ? c_.flags_out : c_.flags_in;
        (output_ ? c_.flags_changed : c_.flags_given) |= mask;
        values = (values & ~mask) | bits;
    }

    std::string register_value(std::string_view name, std::string_view text) {
        const RegInfo* row = find_register(name);
        if (row == nullptr || row->reg == Reg::rflags) return "no such register";
        const std::size_t split = text.find('_');
        const auto low = hex(split == std::string_view::npos ? text : text.substr(split + 1));
        const auto high = split == std::string_view::npos ? 0 : hex(text.substr(0, split));
        if (!low || !high) return "not a hexadecimal number";
        (output_ ? c_.out : c_.in).emplace_back(row->reg, Vec128{*low, *high});
        return "";
    }

    VectorCase& c_;
    bool output_;
};

std::string parse_line(std::string_view line, VectorCase& c) {
    const std::size_t bar = line.find('|');
    const std::size_t arrow = line.find("=>");
    if (bar == std::string_view::npos || arrow == std::string_view::npos || arrow < bar) {
        return "not of the form INSTRUCTION | INPUTS => OUTPUTS";
    }
    for (const bool output : {false, true}) {
        const auto part = output ? line.substr(arrow + 2) : line.substr(bar + 1, arrow - bar - 1);
        std::istringstream items{std::string(part)};
        ItemReader reader(c, output);
        for (std::string item; items >> item;) {
            if (const std::string error = reader.read(item); !error.empty()) {
                return fmt::format("{}: {}", item, error);
            }
        }
    }
    AsmOptions options;
    options.origin = kVectorCode;
    options.mode = asm_mode(c.mode);
    const AsmResult code = assemble(line.substr(0, bar), options);
    if (!code.ok()) return code.errors.front().message;
    c.code = code.bytes;
    return "";
}

std::string describe(const Outcome& outcome) {
    if (const auto* f = std::get_if<Fault>(&outcome)) {
        constexpr std::string_view kNames[] = {"de", "db", "nmi", "bp", "of", "br", "ud",
                                               "nm", "df", "9",   "ts", "np", "ss", "gp",
                                               "pf", "15", "mf",  "ac", "mc", "xm"};
        const auto number = static_cast<std::size_t>(f->vector);
        std::string text = number < std::size(kNames) ? fmt::format("#{}", kNames[number])
                                                      : fmt::format("#{:x}", number);
        if (f->vector == Vector::pf) return fmt::format("#pf({:x},{:x})", f->error_code, f->cr2);
        if (f->has_error_code) text += fmt::format("({:x})", f->error_code);
        return text;
    }
    if (std::holds_alternative<StepsDone>(outcome)) return "steps";
    if (std::holds_alternative<Halted>(outcome)) return "halt";
    if (std::holds_alternative<Exit>(outcome)) return "exit";
    if (std::holds_alternative<OutOfWork>(outcome)) return "out of work";
    if (const auto* gap = std::get_if<NotModelled>(&outcome)) return "not modelled: " + gap->what;
    return fmt::format("outcome {}", outcome.index());
}

// The bytes that are not zero.
std::map<u64, u8> contents(const Memory& memory) {
    std::map<u64, u8> bytes;
    memory.for_each_page([&](u64 page, const u8* data) {
        for (u64 i = 0; i < kPageSize; ++i) {
            if (data[i] != 0) bytes[page * kPageSize + i] = data[i];
        }
    });
    return bytes;
}

// Stores that it was told of, and how often it was asked.
class Recorder : public Observer {
  public:
    unsigned asked = 0;
    std::map<u64, u8> stored_bytes;

    bool before_instruction(const Cpu&, u64) override {
        ++asked;
        return false;
    }
    void stored(const Cpu&, u64 physical, std::span<const u8>, std::span<const u8> after) override {
        for (u64 i = 0; i < after.size(); ++i) stored_bytes[physical + i] = after[i];
    }
};

// A machine with the case's code and data, and how it is made to run.
class Bench {
  public:
    explicit Bench(const VectorCase& c) : cpu_(machine_.add_cpu()) {
        cpu_.set_deliver_faults(false);
        // NOPs around the instruction, so that it is in the middle of a block.
        put(kVectorCode - 1, {0x90});
        put(kVectorCode, c.code);
        put(kVectorCode + c.code.size(), {0x90, 0x90});
        for (const auto& [address, byte] : c.memory_in) put(address, {byte});
        start_ = machine_.snapshot_memory();
    }

    // Puts memory back without dropping decoded code, unless the code itself was written.
    void rewind() {
        machine_.memory().for_each_page([&](u64 page, const u8* data) {
            std::array<u8, kPageSize> before{};
            start_.read(page * kPageSize, before);
            if (!std::equal(before.begin(), before.end(), data)) {
                require(machine_.write(page * kPageSize, before));
            }
        });
    }

    Machine& machine() { return machine_; }
    Cpu& cpu() { return cpu_; }

  private:
    static void require(bool ok) {
        if (!ok) throw std::runtime_error("a vector's memory does not fit");
    }
    void put(u64 address, const std::vector<u8>& bytes) { require(machine_.write(address, bytes)); }

    Machine machine_;
    Cpu& cpu_;
    Memory start_;
};

class Checker {
  public:
    Checker(const VectorCase& c, u64 status) : c_(c), start_(vector_start(c, status)) {
        expected_ = start_;
        if (c.outcome == "steps" || c.outcome == "halt") expected_[Reg::rip] += c.code.size();
        if (c.outcome == "halt") expected_[Reg::activity] = 1;
        if (c.outcome == "steps" || c.outcome == "halt") ++expected_[Reg::tsc];
        for (const auto& [reg, value] : c.out) expected_.set(reg, value);
        u64& flags = expected_[Reg::rflags];
        flags = (flags & ~c.flags_changed) | (c.flags_out & c.flags_changed);
    }

    std::string run() {
        single_steps();
        in_a_block();
        observed();
        return problems_;
    }

  private:
    void single_steps() {
        Bench bench(c_);
        bench.cpu().set_state(start_);
        run_and_compare("stepped", bench, 0, nullptr);
    }

    // From the NOP before, first decoding and then from the cache.
    void in_a_block() {
        Bench bench(c_);
        CpuState from = start_;
        --from[Reg::rip];
        --from[Reg::tsc];
        // A shadow or RF would already end with the NOP.
        if (from[Reg::shadow] != 0 || (from[Reg::rflags] & (flag::rf | flag::tf)) != 0) return;
        for (const char* how : {"in a block", "in a cached block"}) {
            bench.cpu().set_state(from);
            run_and_compare(how, bench, 1, nullptr);
            bench.rewind();
        }
    }

    void observed() {
        Bench bench(c_);
        Recorder recorder;
        for (const auto* bytes : {&c_.memory_in, &c_.memory_out}) {
            for (const auto& [address, byte] : *bytes) {
                bench.machine().watch_page(address >> kPageShift);
            }
        }
        bench.cpu().set_state(start_);
        run_and_compare("observed", bench, 0, &recorder);
        if (recorder.asked != 1)
            complain("observed", fmt::format("asked {} times", recorder.asked));
        for (const auto& [address, byte] : c_.memory_out) {
            const auto at = recorder.stored_bytes.find(address);
            if (at == recorder.stored_bytes.end() || at->second != byte) {
                complain("observed", fmt::format("no stored() for [{:x}]", address));
            }
        }
    }

    // `extra`: steps before the instruction itself.
    void run_and_compare(const char* how, Bench& bench, u64 extra, Observer* observer) {
        const u64 before = bench.cpu().steps() + extra;
        const Outcome outcome = bench.cpu().run({.steps = 1 + extra}, observer);
        const u64 steps = bench.cpu().steps() - before;
        if (const std::string got = describe(outcome); got != c_.outcome) {
            complain(how, fmt::format("{} instead of {}", got, c_.outcome));
        }
        const u64 expected_steps = c_.outcome == "steps" || c_.outcome == "halt" ? 1 : 0;
        if (steps != expected_steps) complain(how, fmt::format("{} steps", steps));
        const CpuState got = bench.cpu().state();
        for (const RegInfo& row : registers()) {
            const Vec128 a = got.get(row.reg);
            const Vec128 b = expected_.get(row.reg);
            if (a == b) continue;
            complain(how, is_vector(row.reg)
                              ? fmt::format("{}={:x}_{:016x} instead of {:x}_{:016x}", row.name,
                                            a.hi, a.lo, b.hi, b.lo)
                              : fmt::format("{}={:x} instead of {:x}", row.name, a.lo, b.lo));
        }
        auto want = contents(Bench(c_).machine().memory());
        for (const auto& [address, byte] : c_.memory_out) want[address] = byte;
        std::erase_if(want, [](const auto& entry) { return entry.second == 0; });
        auto have = contents(bench.machine().memory());
        for (const auto& [address, byte] : want) {
            if (have[address] != byte) {
                complain(how, fmt::format("[{:x}]={:02x} instead of {:02x}", address, have[address],
                                          byte));
            }
        }
        for (const auto& [address, byte] : have) {
            if (byte != 0 && want.count(address) == 0) {
                complain(how, fmt::format("[{:x}]={:02x} instead of 00", address, byte));
            }
        }
    }

    void complain(const char* how, const std::string& what) {
        const bool set = (start_[Reg::rflags] & flag::kStatus & ~c_.flags_given) != 0;
        problems_ += fmt::format("{}, flags {}: {}\n", how, set ? "set" : "clear", what);
    }

    const VectorCase& c_;
    CpuState start_;
    CpuState expected_;
    std::string problems_;
};

}  // namespace

std::string VectorCase::where() const { return fmt::format("{}:{}: {}", file, line, text); }

void parse_vectors(const std::string& file, std::string_view text, VectorSet& set) {
    std::istringstream lines{std::string(text)};
    unsigned number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        const auto first = line.find_first_not_of(' ');
        if (first == std::string::npos || line[first] == '#') continue;
        VectorCase c{.file = file, .line = number, .text = line};
        if (const std::string error = parse_line(line, c); !error.empty()) {
            set.errors.push_back(c.where() + ": " + error);
        } else {
            set.cases.push_back(std::move(c));
        }
    }
}

const VectorSet& all_vectors() {
    static const VectorSet all = [] {
        VectorSet set;
        std::vector<std::filesystem::path> files;
        const std::filesystem::path folder = VTLSIM_SOURCE_DIR "/tests/sim/vectors";
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            if (entry.path().extension() == ".vec") files.push_back(entry.path());
        }
        std::sort(files.begin(), files.end());
        for (const auto& path : files) {
            std::ostringstream text;
            text << std::ifstream(path).rdbuf();
            parse_vectors(path.filename().string(), text.str(), set);
        }
        return set;
    }();
    return all;
}

namespace {

// Flat segments and no paging in a mode that is not 64-bit.
void leave_64_bit_mode(CpuState& s, CodeMode mode) {
    const bool wide = is_32bit(mode);
    if (mode != CodeMode::compat32) {
        s[Reg::cr0] = cr0::et | cr0::ne | cr0::mp | (mode != CodeMode::real16 ? cr0::pe : 0);
        s[Reg::cr4] = cr4::osfxsr | cr4::osxmmexcpt;
        s[Reg::efer] = 0;
    }
    for (Seg seg : {Seg::es, Seg::cs, Seg::ss, Seg::ds, Seg::fs, Seg::gs}) {
        s[limit_of(seg)] = wide ? 0xFFFFFFFF : 0xFFFF;
        s[attr_of(seg)] = (wide ? 0xC093u : 0x93u) | (seg == Seg::cs ? 8u : 0u);
        if (mode == CodeMode::real16) s[selector_of(seg)] = 0;
    }
}

}  // namespace

CpuState vector_start(const VectorCase& c, u64 status) {
    CpuState s = long_mode_state();
    if (c.mode != CodeMode::long64) leave_64_bit_mode(s, c.mode);
    for (u64 i = 0; i < 16; ++i) {
        s[gpr(i)] = 0x0101010101010101 * (0xA0 + i);  // no valid address
        s.vec(offset(Reg::xmm0, i)) = {0x1111111111111100 + i, 0x2222222222222200 + i};
    }
    s[Reg::rsp] = 0x8000;
    s[Reg::rip] = kVectorCode;
    for (const auto& [reg, value] : c.in) s.set(reg, value);
    s[Reg::rflags] = flag::kAlwaysSet | (status & flag::kStatus & ~c.flags_given) | c.flags_in;
    return s;
}

std::string run_vector(const VectorCase& c) {
    return Checker(c, 0).run() + Checker(c, flag::kStatus).run();
}

namespace {

ZydisMnemonic mnemonic_of(const VectorCase& c) {
    const bool wide = is_32bit(c.mode);
    ZydisDecoder decoder;
    if (c.mode == CodeMode::long64) {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    } else if (wide) {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    } else {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    }
    ZydisDecodedInstruction insn;
    ZydisDecoderContext context;
    const bool good = ZYAN_SUCCESS(
        ZydisDecoderDecodeInstruction(&decoder, &context, c.code.data(), c.code.size(), &insn));
    return good ? insn.mnemonic : ZYDIS_MNEMONIC_INVALID;
}

bool raises_faults_only(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_INT:
        case ZYDIS_MNEMONIC_INT1:
        case ZYDIS_MNEMONIC_INT3:
        case ZYDIS_MNEMONIC_RDPMC:  // there are no counters
        case ZYDIS_MNEMONIC_UD0:
        case ZYDIS_MNEMONIC_UD1:
        case ZYDIS_MNEMONIC_UD2:
            return true;
        default:
            return false;
    }
}

}  // namespace

const VectorResults& vector_results() {
    static const VectorResults results = [] {
        VectorResults out;
        for (const VectorCase& c : all_vectors().cases) {
            const std::string problems = run_vector(c);
            if (!problems.empty()) {
                out.problems.push_back(c.where() + '\n' + problems);
                continue;
            }
            const ZydisMnemonic mnemonic = mnemonic_of(c);
            if (c.outcome.front() != '#' || raises_faults_only(mnemonic)) {
                out.executed[mnemonic].insert(c.mode);
            }
        }
        return out;
    }();
    return results;
}

}  // namespace vtlsim::tests
