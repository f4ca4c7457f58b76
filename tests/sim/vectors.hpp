// Instruction vectors: one line of text per case (tests/sim/vectors/*.vec), run in several ways.
//
//   INSTRUCTION | INPUTS => OUTPUTS          '#' at the start of a line makes it a comment
//
// INSTRUCTION is assembly text (or `db ...`), placed at kVectorCode. Items are separated by
// blanks, all numbers are hexadecimal:
//   rax=ff xmm3=HI_LO cr0=80010033 shadow=1   any register of sim/state/registers.def
//   [2000]=0102ff                             memory bytes in ascending order of address
//   cf=1 df=0                                 one flag; as an output also cf=keep
//   flags=oszapc                              the status flags: those named set, the others clear
//   mode=real16                               as an input: real16 prot16 prot32 compat32, else
//   64-bit
// and as outputs only:
//   rip=1020                                  left out: advanced by the instruction's length
//   #gp(0) #ud #pf(2,8ff8) #bp                undelivered fault: error code, CR2
//   halt  exit                                the run ends so; after an exit nothing has changed
//
// What is not listed keeps its value: registers hold distinct junk, memory is zero. Status flags
// that the inputs do not name are all clear in one run and all set in another. After a fault or an
// exit RIP is on the instruction unless rip= says otherwise. In modes other than 64-bit segments
// are flat, with a limit of FFFF in 16-bit ones, and there is no paging.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <Zydis/Zydis.h>

#include "sim/exec/cpu.hpp"

namespace vtlsim::tests {

inline constexpr u64 kVectorCode = 0x1010;

struct VectorCase {
    std::string file;  // without its folder
    unsigned line = 0;
    std::string text;
    std::vector<u8> code{};
    sim::CodeMode mode = sim::CodeMode::long64;

    std::vector<std::pair<sim::Reg, Vec128>> in{};
    std::vector<std::pair<sim::Reg, Vec128>> out{};
    std::map<u64, u8> memory_in{};   // bytes by physical address
    std::map<u64, u8> memory_out{};  // those that differ afterwards
    u64 flags_in = 0;                // values of the flags in flags_given
    u64 flags_given = 0;
    u64 flags_out = 0;  // values of the flags in flags_changed
    u64 flags_changed = 0;
    std::string outcome = "steps";  // else as written in the line

    // "shift.vec:12: shl eax, 1 | ..."
    std::string where() const;
};

struct VectorSet {
    std::vector<VectorCase> cases;
    std::vector<std::string> errors;  // bad lines
};

// Adds the cases of a text.
void parse_vectors(const std::string& file, std::string_view text, VectorSet& set);
// All of tests/sim/vectors, files in order of their names.
const VectorSet& all_vectors();

// The state in which a case starts; `status` gives the status flags that the case leaves open.
sim::CpuState vector_start(const VectorCase& c, u64 status);
// What is wrong with the case, one problem a line; empty if nothing is.
std::string run_vector(const VectorCase& c);

// What came of running all of them, once in the life of the test program.
struct VectorResults {
    std::vector<std::string> problems;
    // In which modes the instructions of each mnemonic were executed to their end: they retired,
    // left by an exit, halted, or raised the fault that is their purpose.
    std::map<ZydisMnemonic, std::set<sim::CodeMode>> executed;
};
const VectorResults& vector_results();

}  // namespace vtlsim::tests
