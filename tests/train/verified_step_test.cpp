// Steps that are computed twice: they change no bit of a run, and a bit that flips in between ends it by name.
#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

class Verified : public testing::TestWithParam<Kind> {
 protected:
  train::TrainerOptions options(bool verify) const {
    train::TrainerOptions o = odd_options(GetParam().dtype);
    o.verify = verify;
    if (o.dtype == DType::f16) o.loss_scale = 128;
    return o;
  }
  static data::HostBatch data(int64_t step) { return batch(4, kOddLength, kOddVocab, unsigned(step)); }

  std::unique_ptr<Backend> backend_ = GetParam().make();
};

TEST_P(Verified, StepsHaveTheBitsOfOthers) {
  State states[2];
  StepState numbers[2];
  for (bool const verify : {false, true}) {
    auto const fresh = GetParam().make();
    train::Trainer t(*fresh, options(verify));
    for (int64_t step = 0; step < 6; ++step) {
      data::HostBatch b = data(step);
      if (step == 3) b.token_weights[4] = NAN;  // refused: nothing to update
      verify ? t.verified_step(b, 1e-2) : t.step(b, 1e-2);
    }
    states[verify] = read_state(*fresh, t), numbers[verify] = t.state();
  }
  EXPECT_TRUE(states[0].w == states[1].w && states[0].m == states[1].m && states[0].v == states[1].v);
  EXPECT_EQ(numbers[1].attempted, 6);
  EXPECT_EQ(numbers[1].accepted, 5);
  EXPECT_EQ(std::memcmp(&numbers[0], &numbers[1], sizeof(StepState)), 0);
}

// Flips the sign of an element: of an activation, a lower bit may be lost in the sums behind it.
void flip(Backend& backend, Tensor const& t) {
  auto bytes = host<unsigned char>(backend, {DType::u8, {int64_t(t.bytes())}, t.data, t.label});
  size_t const element = size_of(t.dtype);
  bytes[bytes.size() / element * 2 / 3 * element + element - 1] ^= 0x80;
  backend.upload(t, bytes.data());
}

struct Flipped {
  char const* op;
  char const* tensor;  // flipped; empty: the op's first output
  int64_t time;        // of the op's calls, from 0
  char const* named;
};

TEST_P(Verified, ABitThatFlipsEndsTheStepByName) {
  for (Flipped const& f : std::vector<Flipped>{
           {"decide_step", "h.1.mlp.c_fc.weight", 0, "the gradient of h.1.mlp.c_fc.weight"},
           {"decide_step", "h.0.ln_1.bias", 1, "the gradient of h.0.ln_1.bias"},
           {"attention", "", 1, "the gradient of"},  // an activation of the first time
           {"attention", "", 5, "the gradient of"},  // and of the second
           {"optimize", "", 6, "the update of "},
           {"optimize", "", 7, "the update of "},
       }) {
    train::Trainer t(*backend_, options(true));
    t.verified_step(data(0), 1e-2);
    int64_t calls = 0;
    std::string named = f.named;
    backend_->observe([&](Event const& e) {
      if (std::string_view(e.op) != f.op || calls++ != f.time) return;
      if (!*f.tensor) {
        if (named == "the update of ") named += e.outputs[0].label;
        return flip(*backend_, e.outputs[0]);
      }
      for_each(t.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
        if (name == f.tensor) flip(*backend_, w.grad);
      });
    });
    try {
      t.verified_step(data(1), 1e-2);
      ADD_FAILURE() << f.op << " " << f.time << " was not seen";
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::failed);
      EXPECT_NE(std::string(e.what()).find("step 2 was computed twice, and " + named), std::string::npos) << e.what();
    }
    backend_->observe({});
    EXPECT_GT(calls, f.time);
  }
}

TEST_P(Verified, AsksForItsMemory) {
  train::Trainer t(*backend_, options(false));
  EXPECT_THROW(t.verified_step(data(0), 1e-2), Error);
}

INSTANTIATE_TEST_SUITE_P(, Verified, testing::Values(kReference, kCpu, kCpuBf16, kCpuF16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test
