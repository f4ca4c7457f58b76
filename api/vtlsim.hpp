// vtlsim as a library, in C++: load a scenario, put your own handler, devices or actors into it, run
// it, look at what came out, and search all its schedules.
//
//     vtlsim::Simulation sim = vtlsim::Simulation::load("crash.json");
//     vtlsim::Run run = sim.run();
//     if (!run.passed()) std::cout << run.report();
//
// A Simulation is a value; a Run keeps the world it ran alive. Nothing here is shared between
// threads; different Simulations may be used by different threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "model/plugins.hpp"

namespace vtlsim {

// What is wrong with a scenario file: lines of "file:line:col: /path: message".
class LoadError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// A run that has come to its end.
class Run {
  public:
    ~Run();
    Run(Run&&) noexcept;
    Run& operator=(Run&&) noexcept;

    bool passed() const;         // as the scenario expects; an xfail too
    std::string status() const;  // "pass", "fail", "limit", "error", "xfail", "xpass"
    std::string end() const;     // "guest-halted", "vmm-panic", ...
    u64 steps() const;
    std::string hash() const;  // of the event log, 16 hexadecimal digits

    struct Failure {
        std::string expectation, expected, got;
        u64 step;
    };
    std::vector<Failure> failures() const;

    // A value by its name (docs/scenarios.md, "state"): "vtl0.rax", "message.port". The low 64 bits
    // of wider ones. Nothing for names that have no value.
    std::optional<u64> value(std::string_view name) const;
    void read_memory(u64 address, std::span<u8> out) const;  // guest-physical

    std::string trace() const;   // as `vtlsim trace` prints it
    std::string report() const;  // as `vtlsim run -v` prints it

  private:
    friend class Simulation;
    struct State;
    explicit Run(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

struct Exploration {
    u64 schedules = 0;
    u64 states = 0;
    bool complete = false;
    std::size_t violations = 0;
    std::string report;  // as `vtlsim explore --format json` prints it
};

class Simulation {
  public:
    // Throw LoadError.
    static Simulation load(const std::string& path);
    static Simulation parse(std::string text, const std::string& name = "scenario.json");

    ~Simulation();
    Simulation(const Simulation&);
    Simulation(Simulation&&) noexcept;
    Simulation& operator=(Simulation) noexcept;

    std::string name() const;
    // As --variant takes them; one empty string where there is nothing to choose.
    std::vector<std::string> variants() const;

    // In place of the VMM's own handler, for every intercept for which it returns true
    // (model/plugins.hpp says what plug-ins may remember).
    void set_handler(std::function<bool(model::Intercept&, u64& state)> handler);
    // Throws std::invalid_argument for a size that is not 1, 2 or 4.
    void add_device(model::Plugins::Device device);
    void add_actor(model::Plugins::Actor actor);

    // Throw std::invalid_argument for a variant that there is not.
    Run run(std::string_view variant = {}) const;
    // All schedules, with at most so many states; on one thread.
    Exploration explore(std::string_view variant = {}, u64 states = 1'000'000) const;

  private:
    struct State;
    explicit Simulation(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace vtlsim
