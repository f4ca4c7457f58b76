// What the KVM at hand is: which modes it runs, and which version of the model should match.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "model/kvm/switches.hpp"
#include "runner/conform_kvm/real_kvm.hpp"

namespace vtlsim::runner::conform_kvm {

inline constexpr std::size_t kModes = 4;
inline constexpr std::array<model::kvm::Mode, kModes> kAllModes{
    model::kvm::Mode::real16, model::kvm::Mode::prot32, model::kvm::Mode::long64,
    model::kvm::Mode::long64_cpl3};
std::string_view mode_name(model::kvm::Mode mode);

struct ModeFacts {
    std::optional<model::kvm::Version> version;  // nothing: this KVM cannot run the mode
    std::string why;                             // then: what it did
    // The code runs on the CPU itself and KVM's emulator only sees what exits; else it executes
    // all.
    bool native = false;
};

struct KvmFacts {
    std::string kernel;                   // "Linux 6.18.44", of uname
    std::string modules;                  // "kvm_pvm"
    std::string processor;                // "AuthenticAMD family 25 model 17"
    std::array<ModeFacts, kModes> modes;  // as kAllModes

    const ModeFacts& of(model::kvm::Mode mode) const {
        return modes[static_cast<std::size_t>(mode)];
    }
    std::vector<model::kvm::Mode> usable() const;
    // Lines for a report.
    std::string text() const;
};

// Runs a small guest in each mode, in a child process first: if KVM kills that or does not come
// back, nothing else is tried and `why` says so.
std::optional<KvmFacts> detect(RealKvm& kvm, std::string& why);

}  // namespace vtlsim::runner::conform_kvm
