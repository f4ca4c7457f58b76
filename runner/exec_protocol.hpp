// `vtlsim exec`: a bare machine that answers one line of JSON for each line of JSON. docs/exec.md
// has the protocol.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "sim/exec/cpu.hpp"

namespace vtlsim::runner {

struct ExecRequest;

// More than this in one request is the outcome `limit`, so that every request ends.
inline constexpr u64 kExecMaxSteps = 100'000'000;
inline constexpr u64 kExecMaxIterations = u64{1} << 24;  // of REP instructions

class ExecSession {
  public:
    ExecSession();
    ~ExecSession();

    // Takes any bytes, without the line's end. Appends one line with its end.
    void answer(std::string line, std::string& out);

  private:
    struct End;
    End run(const ExecRequest& request);
    void describe(const End& end, std::string& out) const;

    std::unique_ptr<sim::Machine> machine_;
    sim::Cpu* cpu_;
};

// Answers every line that the file descriptor gives until its end. Output is flushed whenever the
// next line has yet to arrive. False: reading or writing failed, errno says why.
bool serve_exec(int input, std::FILE* output);

}  // namespace vtlsim::runner
