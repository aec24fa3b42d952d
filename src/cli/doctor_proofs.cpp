// folio doctor --prove.
#include <fmt/format.h>

#include "cli/doctor.h"
#include "cli/resume_proof.h"
#include "cli/signals.h"
#include "core/dtype.h"
#include "train/proofs.h"

namespace folio::cli {
namespace {

// What the numbers of one kind say, beside what was expected.
Finding finding_of(std::string const& name, train::GradientProof const& p, std::string const& against) {
  return {p.holds() ? State::ok : State::broken,
          name,
          fmt::format("{} parameters, {}: {:.1e} at most{}", p.parameters, against, p.worst,
                      p.holds() ? "" : fmt::format(", where {:.0e} is the bound", p.bound)),
          {{"parameters", p.parameters}, {"worst", finite_or_null(p.worst)}, {"bound", p.bound}}};
}

Finding overfits(Backend& backend, DType dtype) {
  train::OverfitProof const p = train::prove_overfit(backend, dtype);
  return {p.holds() ? State::ok : State::broken,
          "learns",
          fmt::format("one batch by heart in {}: loss {:.2f}, then {:.4f} after {} steps", name_of(dtype), p.first,
                      p.last, p.steps),
          {{"first", finite_or_null(p.first)}, {"last", finite_or_null(p.last)}, {"steps", p.steps}}};
}

// A small run on a text made here.
Finding resumes(BackendChoice const& backend) {
  ProofFolder const folder("");
  std::string text;
  for (int line = 0; line < 2000; ++line)
    text += fmt::format("Line {} of the proof says {}.\n", line, line * line % 97);
  write_file(folder.path() / "text.txt", text);
  TrainCommand c;
  c.data = (folder.path() / "text.txt").string(), c.tokenizer = "char";
  c.model.size = "", c.model.layers = 2, c.model.heads = 4, c.model.channels = 128, c.model.context = 128;
  c.model.dropout = 0.1, c.run.batch = 8, c.run.steps = 24, c.run.eval_batches = "2";
  c.backend = backend;
  settle(c, {});
  auto const rounds = prove_resume(c, c.run.steps, folder, [](std::string const&) {});
  for (ResumeRound const& r : rounds)
    if (!r.result.same()) return {State::broken, "resumes", text_of(r), {{"same", false}}};
  return {State::ok,
          "resumes",
          fmt::format("{} interrupted or repeated runs of {} steps end with the same bits", rounds.size(), c.run.steps),
          {{"same", true}, {"runs", rounds.size()}}};
}

}  // namespace

Findings prove(BackendChoice const& choice) {
  Findings out;
  catch_signals();
  out.push_back(finding_of("gradient", train::prove_gradient(), "the complex step against backward in f64"));
  auto const backend = choice.make();
  DType const dtype = choice.compute_type();
  for (DType const d : dtype == DType::f32 ? std::vector{dtype} : std::vector{DType::f32, dtype})
    out.push_back(finding_of(fmt::format("{} in {}", choice.device, name_of(d)), train::prove_backend(*backend, d),
                             "gradient against the reference"));
  out.push_back(overfits(*backend, dtype));
  out.push_back(resumes(choice));
  return out;
}

}  // namespace folio::cli
