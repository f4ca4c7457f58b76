#include "runner/explore/world_subject.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runner/format.hpp"

namespace vtlsim::runner::explore {
namespace {

struct SavedWorld : Subject::Saved {
    SavedWorld(std::shared_ptr<const model::World::Snapshot> s, u64 size)
        : snapshot(std::move(s)), size_(size) {}
    u64 bytes() const override { return size_; }

    std::shared_ptr<const model::World::Snapshot> snapshot;

  private:
    u64 size_;
};

// What the incident is about: who thinks what of the guest's RAX.
constexpr std::string_view kUsualEvidence[] = {"message.type", "message.rax", "context.rax",
                                               "control.cpu_status"};

}  // namespace

WorldSubject::WorldSubject(const model::WorldConfig& config, std::vector<std::string> show)
    : own_(std::make_unique<model::World>(config)),
      world_(*own_),
      keep_log_(false),
      show_(std::move(show)) {
    world_.log_instructions(false);
    read_names();
}

WorldSubject::WorldSubject(model::World& world) : world_(world), keep_log_(true) { read_names(); }

void WorldSubject::read_names() {
    for (const model::Actor& actor : world_.actors()) names_.push_back(actor.name);
}

void WorldSubject::step(ActorId actor) {
    if (!keep_log_) world_.clear_log();
    world_.step(actor);
    if (world_.end() == model::EndReason::none && world_.enabled().empty()) world_.conclude();
    accesses_.clear();
    for (const model::Access& access : world_.accesses()) {
        accesses_.push_back({access.object, access.write});
    }
}

bool WorldSubject::cut() const {
    const model::EndReason end = world_.end();
    return end == model::EndReason::step_limit || end == model::EndReason::memory_limit;
}

std::vector<Violation> WorldSubject::violations() const {
    std::vector<Violation> out;
    for (const model::Violation& v : world_.violations()) {
        std::string name(model::invariant_rows()[static_cast<std::size_t>(v.id)].name);
        out.push_back({std::move(name), fmt::format("vp{}", v.vp), v.what, evidence(v.vp)});
    }
    if (world_.end() == model::EndReason::not_modelled) {
        const auto events = world_.log().events();
        const auto gap = std::find_if(events.begin(), events.end(), [](const model::Event& e) {
            return e.kind == model::EventKind::not_modelled;
        });
        const std::string what = gap == events.end() ? "" : event_text(world_.log(), *gap);
        out.push_back({"everything-is-modelled", what, what, {}});
    }
    return out;
}

std::vector<std::pair<std::string, std::string>> WorldSubject::evidence(unsigned vp) const {
    std::vector<std::pair<std::string, std::string>> out;
    const auto add = [&](const std::string& path) {
        if (const auto value = world_.value(path)) out.emplace_back(path, hex_text(*value));
    };
    for (std::string_view path : kUsualEvidence) {
        add(vp == 0 ? std::string(path) : fmt::format("vp{}.{}", vp, path));
    }
    for (const std::string& path : show_) add(path);
    out.emplace_back("end", end_reason_name(world_.end()));
    return out;
}

// A free event that may still come conflicts with everything: whether it can come hangs on who else
// can act, and for some on the VTL at work, neither of which is an object.
bool WorldSubject::may_conflict(ActorId actor, Access access) const {
    if (world_.event_pending(actor)) return true;
    return world_.may_touch(actor, access.object, true) ||
           (access.write && world_.may_touch(actor, access.object, false));
}

std::shared_ptr<const Subject::Saved> WorldSubject::save() {
    if (!keep_log_) world_.clear_log();
    const u64 size = world_.snapshot_bytes();
    return std::make_shared<SavedWorld>(world_.snapshot(), size);
}

void WorldSubject::restore(const Saved& saved) {
    world_.restore(*static_cast<const SavedWorld&>(saved).snapshot);
}

SubjectFactory world_factory(const model::WorldConfig& config, std::vector<std::string> show) {
    return
        [&config, show = std::move(show)] { return std::make_unique<WorldSubject>(config, show); };
}

}  // namespace vtlsim::runner::explore
