import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from cacseg.train.onnx_file import LEAST_HALVED, halved, widened


def model_of(*weights: np.ndarray) -> onnx.ModelProto:
    """Multiplies what it is given by one matrix after the other."""
    names = ["x", *(f"y{k}" for k in range(len(weights) - 1)), "y"]
    graph = helper.make_graph(
        [helper.make_node("MatMul", [names[k], f"w{k}"], [names[k + 1]]) for k in range(len(weights))],
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weights[0].shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weights[-1].shape[1]])],
        [numpy_helper.from_array(weight, f"w{k}") for k, weight in enumerate(weights)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def answers(model: onnx.ModelProto) -> np.ndarray:
    onnx.checker.check_model(model)
    given = np.random.default_rng(1).normal(0, 1, (5, 32)).astype(np.float32)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": given})[0]


def kinds(model: onnx.ModelProto) -> list[int]:
    return [weight.data_type for weight in model.graph.initializer]


def test_weights_are_halved_where_nothing_is_lost_and_answers_stay() -> None:
    rng = np.random.default_rng(0)
    exact = rng.normal(0, 1, (32, 40)).astype(np.float16).astype(np.float32)
    rounded = rng.normal(0, 1, (40, 40)).astype(np.float32)
    small = np.ones((40, LEAST_HALVED // 40 - 1), np.float32)
    before = model_of(exact, rounded, small)
    after = halved(model_of(exact, rounded, small))
    assert kinds(after) == [TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.FLOAT]
    assert len(after.SerializeToString()) < len(before.SerializeToString()) - exact.size
    assert np.array_equal(answers(after), answers(before))


def test_widening_gives_the_model_as_it_was() -> None:
    exact = np.random.default_rng(0).normal(0, 1, (32, 40)).astype(np.float16).astype(np.float32)
    before = model_of(exact, np.ones((40, 40), np.float32))
    assert widened(halved(model_of(exact, np.ones((40, 40), np.float32)))) == before
