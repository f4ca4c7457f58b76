#include "api/vtlsim.hpp"

#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/explore/report.hpp"
#include "runner/explore/run_schedule.hpp"
#include "runner/explore/world_subject.hpp"
#include "runner/load.hpp"
#include "runner/report.hpp"
#include "runner/select.hpp"
#include "runner/trace/formats.hpp"
#include "runner/trace/world_recorder.hpp"

namespace vtlsim {

// --- runs ---------------------------------------------------------------------------------------

struct Run::State {
    runner::Scenario scenario;
    std::size_t variant;
    model::WorldConfig config;
    model::World world;
    runner::Result result;

    State(runner::Scenario s, std::size_t v)
        : scenario(std::move(s)),
          variant(v),
          config(scenario.config(scenario.variants[variant])),
          world(config) {
        world.run();
        result = runner::verdict_on(world, config, scenario, scenario.variants[variant]);
    }
};

Run::Run(std::unique_ptr<State> state) : state_(std::move(state)) {}
Run::~Run() = default;
Run::Run(Run&&) noexcept = default;
Run& Run::operator=(Run&&) noexcept = default;

bool Run::passed() const { return state_->result.good(); }
std::string Run::status() const { return std::string(runner::status_name(state_->result.status)); }
std::string Run::end() const { return state_->result.end; }
u64 Run::steps() const { return state_->result.steps; }
std::string Run::hash() const { return state_->result.hash; }

std::vector<Run::Failure> Run::failures() const {
    std::vector<Failure> out;
    for (const runner::Failure& f : state_->result.failures) {
        out.push_back({f.expectation, f.expected, f.got, f.step});
    }
    return out;
}

std::optional<u64> Run::value(std::string_view name) const {
    const auto value = state_->world.value(name);
    return value ? std::optional(value->lo) : std::nullopt;
}

void Run::read_memory(u64 address, std::span<u8> out) const {
    state_->world.read_memory(address, out);
}

std::string Run::trace() const {
    return runner::trace::text_trace(
        runner::trace::recording_of(state_->scenario, state_->scenario.variants[state_->variant],
                                    state_->world),
        {});
}

std::string Run::report() const {
    return runner::text_report({{state_->scenario, {state_->result}}}, {.verbose = true});
}

// --- simulations --------------------------------------------------------------------------------

struct Simulation::State {
    runner::Scenario scenario;
    model::Plugins plugins;

    std::size_t variant(std::string_view label) const {
        for (std::size_t i = 0; i < scenario.variants.size(); ++i) {
            if (runner::same_choice(scenario.variants[i].label(), label)) return i;
        }
        throw std::invalid_argument(
            fmt::format("{} has no variant \"{}\"", scenario.name, label));
    }
    runner::Scenario plugged() const {
        runner::Scenario out = scenario;
        out.world.plugins = std::make_shared<const model::Plugins>(plugins);
        return out;
    }
};

Simulation::Simulation(std::unique_ptr<State> state) : state_(std::move(state)) {}
Simulation::~Simulation() = default;
Simulation::Simulation(const Simulation& other) : state_(std::make_unique<State>(*other.state_)) {}
Simulation::Simulation(Simulation&&) noexcept = default;
Simulation& Simulation::operator=(Simulation other) noexcept {
    state_.swap(other.state_);
    return *this;
}

Simulation Simulation::load(const std::string& path) {
    runner::Diagnostics diagnostics;
    auto scenario = runner::load_scenario(path, diagnostics);
    if (!scenario) throw LoadError(diagnostics.to_string());
    return Simulation(std::make_unique<State>(State{std::move(*scenario), {}}));
}

Simulation Simulation::parse(std::string text, const std::string& name) {
    runner::Diagnostics diagnostics;
    auto scenario = runner::parse_scenario(std::move(text), name, diagnostics);
    if (!scenario) throw LoadError(diagnostics.to_string());
    return Simulation(std::make_unique<State>(State{std::move(*scenario), {}}));
}

std::string Simulation::name() const { return state_->scenario.name; }

std::vector<std::string> Simulation::variants() const {
    std::vector<std::string> out;
    for (const runner::Variant& v : state_->scenario.variants) out.push_back(v.label());
    return out;
}

void Simulation::set_handler(std::function<bool(model::Intercept&, u64& state)> handler) {
    state_->plugins.handler = std::move(handler);
}

void Simulation::add_device(model::Plugins::Device device) {
    if (device.size != 1 && device.size != 2 && device.size != 4) {
        throw std::invalid_argument("a port access has 1, 2 or 4 bytes");
    }
    state_->plugins.devices.push_back(std::move(device));
}

void Simulation::add_actor(model::Plugins::Actor actor) {
    if (!actor.ready || !actor.step) throw std::invalid_argument("an actor needs ready and step");
    state_->plugins.actors.push_back(std::move(actor));
}

Run Simulation::run(std::string_view variant) const {
    return Run(std::make_unique<Run::State>(state_->plugged(), state_->variant(variant)));
}

Exploration Simulation::explore(std::string_view variant, u64 states) const {
    const runner::Scenario scenario = state_->plugged();
    const runner::Variant& chosen = scenario.variants[state_->variant(variant)];
    const model::WorldConfig config = runner::explore::exploration_config(scenario, chosen);
    runner::explore::SearchOptions options;
    options.states = states;
    auto found = runner::explore::explore(runner::explore::world_factory(config, scenario.show), options);
    found.scenario = scenario.name;
    found.variant = chosen.label();
    Exploration out;
    out.schedules = found.search.schedules;
    out.states = found.search.states;
    out.complete = found.search.complete;
    out.violations = found.violations.size();
    out.report = runner::explore::json_report(found);
    return out;
}

}  // namespace vtlsim
