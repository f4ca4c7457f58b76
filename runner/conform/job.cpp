#include "runner/conform/job.hpp"

#include <algorithm>

namespace vtlsim::runner::conform {

std::unique_ptr<Job> Job::start(const Both::Distort& distort, std::string& reason) {
    auto native = Native::start(reason);
    if (native == nullptr) return nullptr;
    return std::unique_ptr<Job>(new Job(std::move(native), distort));
}

std::vector<Judged> Job::run(const std::vector<Case>& batch) {
    std::vector<Judged> judged;
    std::copy(batch.begin(), batch.end(), native_->cases().begin());
    native_->submit(0, batch.size());
    answers_.resize(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) both_.simulate(batch[i], answers_[i]);
    while (judged.size() < batch.size()) {
        const std::size_t end = native_->wait(lost_);
        for (std::size_t i = judged.size(); i < end; ++i) judged.push_back(judge(batch[i], i));
        if (end == batch.size()) break;
        judged.push_back({.verdict = Verdict::died});
        if (lost_) return judged;
        if (judged.size() < batch.size()) native_->submit(judged.size(), batch.size());
    }
    confirm(batch, judged);
    return judged;
}

Judged Job::judge(const Case& c, std::size_t i) {
    if (answers_[i].not_modelled) return {.verdict = Verdict::not_modelled};
    const Comparison comparison = compare(c, native_->answers()[i], answers_[i]);
    if (!comparison.defined.empty()) {
        return {.verdict = Verdict::mismatch, .what = comparison.defined[0].name};
    }
    if (comparison.allowed.empty()) return {};
    return {.verdict = Verdict::allowed, .reason = comparison.allowed};
}

// A child may have been disturbed: by an interrupt between the load and the store of a state whose
// kernel does not restore all, or by a case before. So what differs is run again in a new one.
void Job::confirm(const std::vector<Case>& batch, std::vector<Judged>& judged) {
    bool renewed = false;
    for (std::size_t i = 0; i < batch.size() && !lost_; ++i) {
        if (judged[i].verdict != Verdict::mismatch) continue;
        if (!renewed) lost_ = !native_->renew();
        renewed = true;
        if (lost_) return;
        const auto again = both_(batch[i]);
        if (!again || !again->defined.empty()) continue;
        judged[i].verdict = differs_behind(batch, i) ? Verdict::behind : Verdict::unrepeated;
        renewed = false;
    }
}

bool Job::differs_behind(const std::vector<Case>& batch, std::size_t i) {
    std::copy_n(batch.begin(), i + 1, native_->cases().begin());
    lost_ = !native_->renew();
    if (lost_) return true;
    native_->submit(0, i + 1);
    Answer simulated;
    both_.simulate(batch[i], simulated);
    if (native_->wait(lost_) != i + 1) return true;
    return !compare(batch[i], native_->answers()[i], simulated).defined.empty();
}

}  // namespace vtlsim::runner::conform
