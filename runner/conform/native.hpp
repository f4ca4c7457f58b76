// Runs cases on the processor that runs this program, in a child process.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "runner/conform/case.hpp"

namespace vtlsim::runner::conform {

class Native {
  public:
    static constexpr std::size_t kBatch = 512;

    // Null where that is not possible, with the reason.
    static std::unique_ptr<Native> start(std::string& reason);
    virtual ~Native() = default;

    // Whether the kernel lets a process run 32-bit code.
    virtual bool has_compat32() const = 0;
    // To be filled in by the caller.
    virtual std::span<Case> cases() = 0;
    // The child runs the cases from `first` to before `end` while the caller does something else.
    virtual void submit(std::size_t first, std::size_t end) = 0;
    // Waits for it, and returns the case at which the child died or hung, or `end`. The answers
    // before that one are good, and another child takes over for the next submit(); if that is not
    // possible, `lost` becomes true.
    virtual std::size_t wait(bool& lost) = 0;
    // Another child for the next submit(), whatever this one has become. False: there is none.
    virtual bool renew() = 0;
    virtual std::span<const Answer> answers() const = 0;
};

}  // namespace vtlsim::runner::conform
