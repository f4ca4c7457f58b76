#include "runner/determinism.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <xxhash.h>

#include "model/world.hpp"
#include "runner/parallel.hpp"
#include "runner/run.hpp"
#include "runner/run_kvm.hpp"

namespace vtlsim::runner {
namespace {

u64 add_event(u64 hash, const model::Event& e) {
    std::array<u64, 6 + model::Event::kMaxArgs> words{
        hash, e.step, static_cast<u64>(e.kind), static_cast<u64>(e.lane), u64{e.vp} << 8 | e.vtl,
        e.rip};
    std::copy(e.args.begin(), e.args.end(), words.begin() + 6);
    return XXH3_64bits(words.data(), sizeof(words));
}

}  // namespace

LogPrint::LogPrint(const model::EventLog& log, std::string hash) : hash_(std::move(hash)) {
    const auto events = log.events();
    while (events.size() / stride_ >= kMaxMarks) stride_ *= 2;
    u64 all = 0;
    for (std::size_t i = 0; i < events.size(); ++i) {
        all = add_event(all, events[i]);
        if ((i + 1) % stride_ == 0 || i + 1 == events.size())
            marks_.push_back({all, events[i].step});
    }
}

std::optional<LogPrint::Range> LogPrint::first_difference(const LogPrint& other) const {
    if (hash_ == other.hash_ && marks_ == other.marks_) return std::nullopt;
    if (stride_ != other.stride_) {  // lengths so different that the marks are others
        const LogPrint& longer = stride_ > other.stride_ ? *this : other;
        return Range{0, longer.marks_.back().step};
    }
    const auto [mine, theirs] =
        std::mismatch(marks_.begin(), marks_.end(), other.marks_.begin(), other.marks_.end());
    const u64 before = mine == marks_.begin() ? 0 : std::prev(mine)->step;
    const u64 here = std::max(mine == marks_.end() ? 0 : mine->step,
                              theirs == other.marks_.end() ? 0 : theirs->step);
    return stride_ == 1 ? Range{here, here} : Range{before, here};
}

std::optional<Failure> difference_of(const LogPrint& first, const LogPrint& second) {
    const auto range = first.first_difference(second);
    if (!range) return std::nullopt;
    const std::string where = range->first == range->last
                                  ? fmt::format("step {}", range->first)
                                  : fmt::format("steps {} to {}", range->first, range->last);
    return Failure{"the second run has the same event log", "hash " + first.hash(),
                   fmt::format("hash {}; the first difference is in {}", second.hash(), where),
                   range->last};
}

std::vector<std::optional<Failure>> verify_determinism(const std::vector<VariantOf>& runs,
                                                       unsigned jobs) {
    const auto print = [&](std::size_t i, LogPrint& out) {
        if (runs[i].scenario->kvm) {
            const KvmScenario& kvm = *runs[i].scenario->kvm;
            const KvmRun run = run_kvm(kvm, kvm.variants[runs[i].variant->kvm]);
            out = {run.log, fmt::format("{:016x}", run.log.hash())};
            return;
        }
        run_variant(*runs[i].scenario, *runs[i].variant, [&](const model::World& world) {
            out = {world.log(), world.hash()};
        });
    };
    std::vector<LogPrint> first(runs.size());
    parallel_for(runs.size(), 1, [&](std::size_t i) {
        print(i, first[i]);
        return true;
    });
    std::vector<std::optional<Failure>> out(runs.size());
    parallel_for(runs.size(), std::max(jobs, 2u), [&](std::size_t nth) {
        const std::size_t i = runs.size() - 1 - nth;
        LogPrint second;
        print(i, second);
        out[i] = difference_of(first[i], second);
        return true;
    });
    return out;
}

}  // namespace vtlsim::runner
