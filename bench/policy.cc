// krux_policy_bench: what a decision costs beside an uncontended atomic increment, in one run,
// after 1, 100 and 10,000 allowed calls: it must not grow with what a session has done. Google
// Benchmark.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>

#include "policy/decide.h"
#include "policy/kernel/kernel.h"
#include "policy/policy_state.h"

namespace krux::bench {
namespace {

constexpr uint64_t kNow = 1000;

policy::Call ReadCall() {
  policy::Call call;
  call.dimension = policy::Dimension::kReadFiles;
  call.capability = "fs.read";
  for (const char* scope : {"capabilities.allow", "paths.read"})
    call.scopes.push_back({true, "team:9 paths.read", "/w/README.md", scope});
  call.contribution = policy::kPrivateData;
  call.digest = {1, 2, 3, 4};
  return call;
}

policy::Footprint ReadFootprint() {
  policy::Footprint footprint;
  footprint.reads_private = true;
  footprint.layers = UINT32_MAX;
  return footprint;
}

// A session that has called so often, with a ticket in every slot but none that fits.
policy::State StateAfter(int64_t calls) {
  policy::Policy policy;
  for (policy::Level& level : policy.authority.levels) level = policy::Level::kAlways;
  policy::State state = policy::BeginState(policy, {}, {}, 0);
  const krux_call call = policy::KernelCall(ReadCall(), ReadFootprint());
  krux_decision decision;
  for (int64_t i = 0; i < calls; ++i) krux_step_call(&state.kernel, &call, kNow, &decision);
  for (uint64_t i = 1; i <= KRUX_TICKETS; ++i) {
    krux_ticket ticket{.kind = KRUX_TICKET_APPROVE,
                       .nonce = i,
                       .expires_ms = kNow + 1,
                       .session = {},
                       .policy = {},
                       .digest = {9}};
    krux_step_grant(&state.kernel, &ticket, kNow);
  }
  return state;
}

void AtomicIncrement(benchmark::State& run) {
  std::atomic<uint64_t> counter{0};
  for (auto _ : run) benchmark::DoNotOptimize(counter.fetch_add(1));
}

void KernelDecide(benchmark::State& run) {
  const policy::State state = StateAfter(run.range(0));
  const krux_call call = policy::KernelCall(ReadCall(), ReadFootprint());
  krux_decision decision;
  for (auto _ : run) {
    krux_decide(&state.kernel, &call, kNow, &decision);
    benchmark::DoNotOptimize(decision);
    benchmark::ClobberMemory();
  }
  if (decision.verdict != KRUX_ALLOW) run.SkipWithError("not allowed");
}

void KernelStep(benchmark::State& run) {
  policy::State state = StateAfter(run.range(0));
  const krux_call call = policy::KernelCall(ReadCall(), ReadFootprint());
  krux_decision decision;
  for (auto _ : run) {
    krux_step_call(&state.kernel, &call, kNow, &decision);
    benchmark::DoNotOptimize(decision);
    benchmark::ClobberMemory();
  }
  if (decision.verdict != KRUX_ALLOW) run.SkipWithError("not allowed");
}

// An ask that looks through all sixteen tickets in vain: the longest way through the kernel.
void KernelAsk(benchmark::State& run) {
  const policy::State state = StateAfter(run.range(0));
  krux_call call = policy::KernelCall(ReadCall(), ReadFootprint());
  call.risk = KRUX_RISK_CRITICAL;
  krux_decision decision;
  for (auto _ : run) {
    krux_decide(&state.kernel, &call, kNow, &decision);
    benchmark::DoNotOptimize(decision);
    benchmark::ClobberMemory();
  }
  if (decision.verdict != KRUX_ASK) run.SkipWithError("not asked");
}

// With what C++ adds: the call translated, the next state, and no reason to put into words.
void WrapperDecide(benchmark::State& run) {
  const policy::State state = StateAfter(run.range(0));
  const policy::Call call = ReadCall();
  const policy::Footprint footprint = ReadFootprint();
  for (auto _ : run) {
    policy::Decision decision = policy::Decide(state, call, footprint, kNow);
    benchmark::DoNotOptimize(decision);
  }
}

void Configure(benchmark::internal::Benchmark* bench) { bench->Arg(1)->Arg(100)->Arg(10'000); }

BENCHMARK(AtomicIncrement);
BENCHMARK(KernelDecide)->Apply(Configure);
BENCHMARK(KernelStep)->Apply(Configure);
BENCHMARK(KernelAsk)->Apply(Configure);
BENCHMARK(WrapperDecide)->Apply(Configure);

}  // namespace
}  // namespace krux::bench

BENCHMARK_MAIN();
