// What is believed of one person's taste, and what to ask next: palate.posteriors.belief and palate.acquisition.belief.a_optimal.
// A model has `size` items and `dim` taste dimensions; its table holds level and factors of each item. Matrices lie row by row.

/** Of somebody who has said nothing: N(0, I). */
export const start = (dim) => ({ mean: Array(dim).fill(0), covariance: Array.from({ length: dim * dim }, (_, at) => +(at % (dim + 1) === 0)) });

/** The belief after one answer, in the model's unit: an exact Kalman step. */
export function observe({ mean, covariance }, model, item, value) {
  const dim = mean.length;
  const factors = Array.from(model.table.subarray(item * (dim + 1) + 1, (item + 1) * (dim + 1)));
  const along = product(covariance, factors, dim);
  const { mean: predicted, variance } = expected({ mean, covariance }, model, item);
  const total = variance + Math.max(model.noise[item], 1e-12 * factors.reduce((sum, one) => sum + one * one, 0));
  return {
    mean: mean.map((one, at) => one + ((value - predicted) / total) * along[at]),
    covariance: covariance.map((one, at) => one - (along[Math.floor(at / dim)] * along[at % dim]) / total),
  };
}

/** Expected answer to an item, and the variance that what is not known of the taste gives it. */
export function expected({ mean, covariance }, model, item) {
  const first = item * (model.dim + 1) + 1;
  let found = model.table[first - 1];
  for (let at = 0; at < model.dim; at++) found += mean[at] * model.table[first + at];
  return { mean: found, variance: quadratic(covariance, model, item) };
}

/** Of what may be shown, each item by how likely it is known: Q = Σ q w wᵀ. The same for everybody. */
export function targetMoment({ table, rate, size, dim }) {
  const moment = Array(dim * dim).fill(0);
  const all = rate.reduce((sum, one) => sum + one, 0);
  for (let item = 0, at = 1; item < size; item++, at += dim + 1) {
    for (let i = 0; i < dim; i++) for (let j = 0; j < dim; j++) moment[i * dim + j] += (rate[item] / all) * table[at + i] * table[at + j];
  }
  return moment;
}

/** By how much an answer to each item lowers the variance of what may be shown: wᵀ S Q S w / v. */
export function aOptimal({ covariance }, model, moment) {
  const inner = product(product(covariance, moment, model.dim), covariance, model.dim);
  return Array.from({ length: model.size }, (_, item) => quadratic(inner, model, item) / (quadratic(covariance, model, item) + model.noise[item]));
}

/** A matrix times another, or times a vector; the second has as many columns as fit. */
function product(first, second, dim) {
  const columns = second.length / dim;
  const found = Array(second.length).fill(0);
  for (let i = 0; i < dim; i++) for (let k = 0; k < dim; k++) for (let j = 0; j < columns; j++) found[i * columns + j] += first[i * dim + k] * second[k * columns + j];
  return found;
}

/** wᵀ M w of an item. */
function quadratic(matrix, { table, dim }, item) {
  const first = item * (dim + 1) + 1;
  let found = 0;
  for (let i = 0; i < dim; i++) for (let j = 0; j < dim; j++) found += table[first + i] * matrix[i * dim + j] * table[first + j];
  return found;
}
