#include "tests/gateway/fake_world.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <future>

#include "base/digest.h"

namespace krux::gateway {
namespace {

template <typename T>
T Must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return std::move(*result);
}

}  // namespace

FakeAuditd::FakeAuditd(EventLoop& loop, Trace& trace, Channel channel)
    : trace_(trace), channel_(std::move(channel)) {
  EXPECT_TRUE(channel_.SetNonBlocking(true).has_value());
  source_ = Must(loop.AddIo(channel_.fd(), EPOLLIN, [this](uint32_t) { OnReadable(); }));
}

void FakeAuditd::OnReadable() {
  while (channel_.valid()) {
    auto packet = channel_.Receive(0);
    if (!packet || packet->eof) {
      if (packet) source_.Reset();
      return;
    }
    uint64_t tag = 0;
    auto request = audit::DecodeRequest(packet->bytes, &tag);
    if (!request) {
      ADD_FAILURE() << "kruxd sent what krux-auditd refuses: " << request.error().message;
      Ack(tag, 0, "refused", request.error().message);
    } else if (auto* append = std::get_if<audit::AppendRequest>(&*request)) {
      const audit::Kind kind = append->draft.kind;
      const std::string name = audit::Name(kind);
      {
        const std::lock_guard lock(mutex_);
        drafts_.push_back(append->draft);
      }
      trace_.Add("append " + name);
      const uint64_t seq = next_seq_++;
      std::string error;
      if (fail_intents && kind == audit::Kind::kIntent) error = "no space left";
      if (fail_outcomes && kind == audit::Kind::kOutcome) error = "no space left";
      if (fail_denials && kind == audit::Kind::kDenial) error = "no space left";
      auto ack = [this, tag = append->tag, seq, name, error] { Ack(tag, seq, name, error); };
      if (silent || (hold_intents && kind == audit::Kind::kIntent)) {
        held_.push_back(std::move(ack));
      } else {
        ack();
      }
    } else if (auto* policy = std::get_if<audit::PolicyRequest>(&*request)) {
      trace_.Add("store policy");
      if (!silent) Ack(policy->tag, 0, "policy text", {});
    } else if (auto* restore = std::get_if<audit::RestoreRequest>(&*request)) {
      audit::Ack ack{restore->tag, 0, {}, {}};
      ack.data = carry.Page(restore->after, audit::kMaxPageBytes, &ack.seq);
      (void)channel_.Send(audit::EncodeAck(ack));
    } else if (auto* recall = std::get_if<audit::RecallRequest>(&*request)) {
      (void)channel_.Send(audit::EncodeAck({recall->tag, 0, "no such policy", {}}));
    } else {
      if (!silent)
        Ack(std::get<audit::CheckpointRequest>(*request).tag, next_seq_, "checkpoint", {});
    }
  }
}

void FakeAuditd::Ack(uint64_t tag, uint64_t seq, const std::string& what,
                     const std::string& error) {
  trace_.Add("ack " + what);  // first, so that nothing that follows from it stands before it
  (void)channel_.Send(audit::EncodeAck({tag, error.empty() ? seq : 0, error, {}}));
}

void FakeAuditd::Release() {
  for (const auto& ack : std::exchange(held_, {})) ack();
}

void FakeAuditd::Die() {
  source_.Reset();
  channel_ = Channel();
}

std::vector<audit::Draft> FakeAuditd::Drafts(audit::Kind kind) {
  const std::lock_guard lock(mutex_);
  std::vector<audit::Draft> found;
  for (const audit::Draft& draft : drafts_) {
    if (draft.kind == kind) found.push_back(draft);
  }
  return found;
}

FakeSpawnd::FakeSpawnd(EventLoop& loop, Trace& trace, Channel channel)
    : make_result([] { return GoodResult(); }), trace_(trace), channel_(std::move(channel)) {
  EXPECT_TRUE(channel_.SetNonBlocking(true).has_value());
  source_ = Must(loop.AddIo(channel_.fd(), EPOLLIN, [this](uint32_t) { OnReadable(); }));
}

void FakeSpawnd::OnReadable() {
  while (channel_.valid()) {
    auto packet = channel_.Receive(1);
    if (!packet || packet->eof) {
      if (packet) source_.Reset();
      return;
    }
    auto request = Must(sandbox::wire::DecodeRequest(packet->bytes));
    if (std::holds_alternative<sandbox::wire::SpawnCall>(request)) KeepInput(packet->fds);
    Handle(std::move(request));
  }
}

void FakeSpawnd::Send(const sandbox::Event& event, int fd) {
  if (mute) return;
  const int fds[] = {fd};
  (void)channel_.Send(sandbox::wire::EncodeEvent(event), std::span(fds, fd >= 0 ? 1 : 0));
}

void FakeSpawnd::Finish(const cbor::Bytes& call_id, sandbox::Done::End how) {
  const UniqueFd result = make_result();
  sandbox::Done done;
  done.call_id = call_id;
  done.end = how;
  done.cpu_us = 7;
  if (how == sandbox::Done::End::kSecretLost) done.note = "`/w/.env` is secret";
  trace_.Add("done");
  Send(std::move(done), result.get());
}

void FakeSpawnd::Handle(sandbox::wire::Request request) {
  namespace wire = sandbox::wire;
  if (auto* open = std::get_if<wire::OpenWork>(&request)) {
    trace_.Add("open work");
    if (refuse_work)
      return Send(sandbox::Failed{
          open->tag, {}, {ExitCode::kDenied, 0, "work", "not a place to work in"}, {}, {}});
    return Send(sandbox::WorkOpened{open->tag, 1, FakeWorld::kWork, work_uid, getgid(), 8, 42});
  }
  if (auto* build = std::get_if<wire::BuildTemplate>(&request)) {
    trace_.Add("build template");
    if (fail_template)
      return Send(sandbox::Failed{
          build->tag, {}, {ExitCode::kSandbox, 0, "mount", "cannot clone"}, "mount", {}});
    if (hold_template) {
      held_.push_back([this, copy = *build] { Build(copy); });
      return;
    }
    return Build(*build);
  }
  if (auto* drop = std::get_if<wire::DropTemplates>(&request)) {
    trace_.Add("drop templates");
    std::erase_if(built_, [&](const Key& key) {
      return std::get<0>(key) == drop->session_id && std::get<1>(key) <= drop->generation;
    });
    return;
  }
  if (auto* spawned = std::get_if<wire::SpawnCall>(&request)) {
    {
      const std::lock_guard lock(mutex_);
      spec_digest_ = Sha256(cbor::Encode(sandbox::ToValue(spawned->spec)));
    }
    trace_.Add("spawn");
    const sandbox::Spec& spec = spawned->spec;
    if (!built_.contains({spec.session_id, spec.generation, spec.work_class})) {
      return Send(sandbox::Failed{
          0, spec.call_id, {ExitCode::kSandbox, 0, "mount", "no such template"}, "mount", {}});
    }
    if (stale > 0) {
      --stale;
      return Send(
          sandbox::Failed{0,
                          spec.call_id,
                          {ExitCode::kSandbox, 0, sandbox::kStaleTemplate, "masks are gone"},
                          {},
                          {}});
    }
    if (fail_spawn) {
      return Send(
          sandbox::Failed{0,
                          spawned->spec.call_id,
                          {ExitCode::kSandbox, fail_errno, "landlock", "not what was asked for"},
                          "landlock",
                          {}});
    }
    if (!hold_ready) return BeReady(spec.call_id);
    held_ready_.push_back(spec.call_id);
    return;
  }
  if (auto* go = std::get_if<wire::GoCall>(&request)) {
    const bool hold = hold_done;  // the test may go on from the next line
    trace_.Add("go");
    if (lose_masks) {
      Send(sandbox::MasksLost{last_tag_, last_session_, 1, "`/w/.env` is secret"});
      return Finish(go->call_id, sandbox::Done::End::kSecretLost);
    }
    if (hold)
      held_done_.push_back(go->call_id);
    else
      Finish(go->call_id, end);
    return;
  }
  if (auto* cancel = std::get_if<wire::CancelCall>(&request)) {
    trace_.Add("cancel");
    Finish(cancel->call_id, sandbox::Done::End::kCancelled);
  }
}

void FakeSpawnd::BeReady(const cbor::Bytes& call_id) {
  sandbox::Receipt receipt;
  receipt["no_new_privs"] = {true, sandbox::Evidence::kKernel};
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  trace_.Add("ready");
  sandbox::Ready ready;
  ready.call_id = call_id;
  ready.receipt = receipt;
  Send(std::move(ready), null.get());
}

void FakeSpawnd::ReleaseReady() {
  for (const cbor::Bytes& call_id : std::exchange(held_ready_, {})) BeReady(call_id);
}

void FakeSpawnd::Build(const sandbox::wire::BuildTemplate& build) {
  built_.insert({build.spec.session_id, build.spec.generation, build.spec.work_class});
  last_tag_ = build.tag;
  last_session_ = build.spec.session_id;
  trace_.Add("template built");
  Send(sandbox::TemplateBuilt{build.tag, "none"});
}

void FakeSpawnd::ReleaseTemplates() {
  for (const auto& build : std::exchange(held_, {})) build();
}

void FakeSpawnd::FinishHeld() {
  for (const cbor::Bytes& id : std::exchange(held_done_, {})) Finish(id, end);
}

cbor::Bytes FakeSpawnd::LastSpecDigest() {
  const std::lock_guard lock(mutex_);
  return spec_digest_;
}

void FakeSpawnd::KeepInput(const std::vector<UniqueFd>& fds) {
  const std::lock_guard lock(mutex_);
  input_.reset();
  if (fds.empty()) return;
  struct stat stat = {};
  EXPECT_EQ(fstat(fds[0].get(), &stat), 0);
  input_.emplace(static_cast<size_t>(stat.st_size), '\0');
  EXPECT_EQ(pread(fds[0].get(), input_->data(), input_->size(), 0), stat.st_size);
}

std::optional<std::string> FakeSpawnd::LastInput() {
  const std::lock_guard lock(mutex_);
  return input_;
}

void FakeSpawnd::Die() {
  source_.Reset();
  channel_ = Channel();
}

UniqueFd MakeResult(const sandbox::ResultHeader& header, const cbor::Bytes& meta,
                    const std::string& data, bool sealed, uint64_t size) {
  UniqueFd fd(memfd_create("result", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  EXPECT_GT(pwrite(fd.get(), &header, sizeof(header), 0), 0);
  EXPECT_EQ(pwrite(fd.get(), meta.data(), meta.size(), sandbox::kResultMetaOffset),
            static_cast<ssize_t>(meta.size()));
  EXPECT_EQ(pwrite(fd.get(), data.data(), data.size(), sandbox::kResultDataOffset),
            static_cast<ssize_t>(data.size()));
  if (sealed) {
    EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
  }
  return fd;
}

UniqueFd GoodResult(ExitCode code, const std::string& data) {
  const cbor::Bytes meta =
      cbor::Encode(cbor::Map{{"code", static_cast<uint64_t>(ToInt(code))},
                             {"data", cbor::Map{{"bytes", uint64_t{data.size()}}}},
                             {"message", ""},
                             {"limit", 0u},
                             {"truncated", false}});
  return MakeResult({sandbox::kResultMagic, static_cast<uint32_t>(meta.size()), data.size()}, meta,
                    data);
}

GatewaySettings FakeWorld::Quick() {
  GatewaySettings settings;
  settings.limits.bounds.append_ms = 300;
  settings.limits.bounds.open_ms = 2'000;
  settings.limits.bounds.stop_ms = 500;
  settings.limits.bounds.wait_ms = 300;
  settings.limits.bounds.frames_per_second = 1'000'000;
  settings.limits.bounds.refusals_per_second = 1'000'000;
  settings.tick_us = 5'000;
  settings.limits.bounds.setup_ms = 500;
  settings.limits.bounds.grace_ms = 200;
  return settings;
}

FakeWorld::FakeWorld(GatewaySettings settings) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  loop_.emplace(Must(EventLoop::Create()));
  auto [kruxd_audit, auditd] = Must(Channel::Pair());
  auto [kruxd_spawn, spawnd] = Must(Channel::Pair());
  audit = std::make_unique<FakeAuditd>(*loop_, trace, std::move(auditd));
  spawn = std::make_unique<FakeSpawnd>(*loop_, trace, std::move(spawnd));
  gateway = std::make_unique<Gateway>(*loop_, SystemClock(), SystemRandom(), std::move(kruxd_audit),
                                      std::move(kruxd_spawn), std::move(settings));
  EXPECT_TRUE(gateway->Start().has_value());
  wake_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  wake_source_ = Must(loop_->AddIo(wake_.get(), EPOLLIN, [this](uint32_t) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(wake_.get(), &count, sizeof(count));
    std::deque<std::function<void()>> posted;
    {
      const std::lock_guard lock(mutex_);
      posted.swap(posted_);
    }
    for (const auto& f : posted) f();
  }));
  thread_ = std::thread([this] { EXPECT_TRUE(loop_->Run().has_value()); });
}

FakeWorld::~FakeWorld() {
  OnLoop([this] { loop_->Exit(0); });
  thread_.join();
}

void FakeWorld::OnLoop(std::function<void()> f) {
  std::promise<void> done;
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back([&] {
      f();
      done.set_value();
    });
  }
  const uint64_t one = 1;
  EXPECT_EQ(write(wake_.get(), &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
  done.get_future().wait();
}

Channel FakeWorld::ConnectRaw(Door door) {
  auto [mine, theirs] = Must(Channel::Pair());
  OnLoop([&] { gateway->Adopt(std::move(theirs), door); });
  return std::move(mine);
}

Client FakeWorld::Connect() { return Must(Client::Adopt(ConnectRaw())); }

Client FakeWorld::ConnectAndOpen(const std::string& profile) {
  Client client = Connect();
  WorkDir work{UniqueFd(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "/tmp"};
  Must(client.Open(work, profile));
  return client;
}

}  // namespace krux::gateway
