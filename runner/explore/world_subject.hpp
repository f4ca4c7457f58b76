// A model::World as something to explore.
#pragma once

#include "model/world.hpp"
#include "runner/explore/subject.hpp"

namespace vtlsim::runner::explore {

class WorldSubject : public Subject {
  public:
    // A world of its own, whose log is thrown away. The config must outlive it. `show`: paths
    // (model/fields.hpp) whose values become evidence of violations, besides the usual ones.
    WorldSubject(const model::WorldConfig& config, std::vector<std::string> show);
    // Somebody else's world, whose log is kept.
    explicit WorldSubject(model::World& world);

    const std::vector<std::string>& actor_names() const override { return names_; }
    std::vector<ActorId> enabled() const override { return world_.enabled(); }
    bool optional(ActorId actor) const override { return world_.optional(actor); }
    bool passive(ActorId actor) const override { return world_.passive(actor); }
    std::string step_name(ActorId actor) const override { return world_.step_name(actor); }
    void step(ActorId actor) override;
    const std::vector<Access>& accesses() const override { return accesses_; }
    std::vector<Violation> violations() const override;
    // The scenario's limits on steps and memory.
    bool cut() const override;
    bool may_conflict(ActorId actor, Access access) const override;
    std::shared_ptr<const Saved> save() override;
    void restore(const Saved& saved) override;
    Fingerprint fingerprint() override { return world_.fingerprint(); }

  private:
    void read_names();
    std::vector<std::pair<std::string, std::string>> evidence(unsigned vp) const;

    std::unique_ptr<model::World> own_;
    model::World& world_;
    const bool keep_log_;
    std::vector<std::string> show_;
    std::vector<std::string> names_;
    std::vector<Access> accesses_;
};

// `config` must outlive the subjects.
SubjectFactory world_factory(const model::WorldConfig& config, std::vector<std::string> show);

}  // namespace vtlsim::runner::explore
