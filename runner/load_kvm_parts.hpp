// The parts of a KVM scenario: the guest and the userspace script (used by load_kvm.cpp).
#pragma once

#include "model/kvm/script.hpp"
#include "runner/json/reader.hpp"
#include "runner/labels.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::runner {

// Appends the guest's assembly to `listing`.
model::kvm::Guest read_kvm_guest(const Node& node, Labels& labels,
                                 std::vector<SourceLine>& listing);
model::kvm::Script read_kvm_userspace(const Node& node, const Labels& labels);

// A register's value: a number, or a label of the guest.
u64 read_kvm_value(const Node& node, const Labels& labels);
const sim::RegInfo* read_kvm_register(const Node& member);

}  // namespace vtlsim::runner
