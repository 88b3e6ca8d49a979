"""The words of ``summary_report.txt`` in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastcam.options import Language


@dataclass(frozen=True, kw_only=True)
class Words:
    """Every text of the report, in English; those with {} are filled in."""

    title: str = "fastcam analysis"
    model: str = "Model"
    checkpoint: str = "Weights"
    random: str = "none: random weights, the maps mean nothing"
    layers: str = "Layers"
    method: str = "Method"
    windows: str = "Windows"
    window_text: str = "{}, overlap {:g}, {}"
    compared: str = "Compared with"
    halves: dict[str, str] = field(
        default_factory=lambda: {
            "plain": "left and right halves, side by side as channels",
            "mirror": "left and right halves, the right one mirrored, side by side as channels",
        }
    )
    images: str = "Images"
    target: str = "Explained"
    without_box: str = "Without such a box"
    left_out: str = "{}, left out of all means and comparisons"
    failed: str = "Failed"
    accuracy: str = "Right"
    confidence: str = "Mean confidence"
    grouping: dict[str, str] = field(
        default_factory=lambda: {
            "folder": "by the folders of the images",
            "predicted": "by what the model predicted",
            "": "one group only",
        }
    )
    classes: str = "Classes"
    class_columns: tuple[str, ...] = ("class", "images", "right", "confidence", "sd")
    left_share: str = "left share, mean (sd)"
    layer_title: str = "By class and layer"
    layer_columns: tuple[str, ...] = (
        "class",
        "layer",
        "consistency",
        "active area",
        "mean CAM",
        "max CAM",
        "center x",
        "center y",
    )
    differences: str = "Differences between classes"
    no_differences: str = "none can be tested: it takes two classes of three images each"
    difference_columns: tuple[str, ...] = (
        "metric",
        "layer",
        "test",
        "statistic",
        "effect",
        "p",
        "q",
    )
    metrics: dict[str, str] = field(
        default_factory=lambda: {
            "confidence": "confidence",
            "left_share": "left share",
            "max_activation": "max CAM",
            "mean_activation": "mean CAM",
            "activation_area": "active area",
            "center_x": "center x",
            "center_y": "center y",
        }
    )
    effects: dict[str, str] = field(
        default_factory=lambda: {
            "rank-biserial correlation": "effect: rank-biserial correlation, -1 to 1; above 0 "
            "where {} is higher than {}",
            "epsilon squared": "effect: epsilon squared, 0 to 1: how much of the ranks the class "
            "explains",
        }
    )
    models: str = "First model against second"
    model_columns: tuple[str, ...] = ("layer", "mean correlation of maps")
    same_prediction: str = "same prediction on {} of {} images"
    every_image: str = "Every image"
    image_columns: tuple[str, ...] = ("image", "class", "predicted", "confidence", "right")
    right: dict[bool | None, str] = field(
        default_factory=lambda: {True: "yes", False: "no", None: "-"}
    )
    failures: str = "Not analysed"
    notes: str = "How to read this"
    explained: tuple[str, ...] = (
        "consistency: the mean of Pearson's correlations between the maps of each two images of a "
        "class, at the layer's resolution: 1 the same place in all, 0 no common place.",
        "active area: share of the image where the normalized CAM (0 to 1 by its own minimum and "
        "maximum) is above 0.5.",
        "mean and max CAM: of the raw CAM; comparable within a layer, not between layers.",
        "center x, y: center of mass of the normalized CAM, in shares of the image's width and "
        "height from its top left corner.",
        "q: p corrected for all comparisons in this report (Benjamini & Hochberg).",
        "A map says where the evidence for an output is, not whether the output is right.",
    )
    halves_note: str = (
        "left share: of the sum of |gradient of the explained output × input| over the "
        "pixels, counted from black, left half against right half; 0.5 where both count alike. The "
        "layers' maps can't tell left from right: they are the same on both halves, and centres "
        "are those of the left."
    )
    whole_image: str = "all"


_ZH = Words(
    title="fastcam 分析报告",
    model="模型",
    checkpoint="权重",
    random="无：随机权重，热图没有意义",
    layers="层",
    method="方法",
    windows="滑动窗口",
    window_text="{}，重叠 {:g}，{}",
    compared="对比模型",
    halves={
        "plain": "左右两半，按通道拼接",
        "mirror": "左右两半（右半镜像），按通道拼接",
    },
    images="图像数",
    target="解释对象",
    without_box="没有此框",
    left_out="{}，不计入均值和比较",
    failed="失败",
    accuracy="正确",
    confidence="平均置信度",
    grouping={"folder": "按图像所在文件夹", "predicted": "按模型预测", "": "只有一组"},
    classes="类别",
    class_columns=("类别", "图像数", "正确", "置信度", "标准差"),
    left_share="左侧占比 均值（标准差）",
    layer_title="各类别与各层",
    layer_columns=(
        "类别",
        "层",
        "一致性",
        "激活面积",
        "CAM均值",
        "CAM最大值",
        "质心x",
        "质心y",
    ),
    differences="类别间差异",
    no_differences="无法检验：至少需要两个类别，每个类别三张图像",
    difference_columns=("指标", "层", "检验", "统计量", "效应量", "p", "q"),
    metrics={
        "confidence": "置信度",
        "left_share": "左侧占比",
        "max_activation": "CAM最大值",
        "mean_activation": "CAM均值",
        "activation_area": "激活面积",
        "center_x": "质心x",
        "center_y": "质心y",
    },
    effects={
        "rank-biserial correlation": "效应量：秩双列相关，-1 到 1；大于 0 表示 {} 高于 {}",
        "epsilon squared": "效应量：ε²，0 到 1，类别所解释的秩变异",
    },
    models="两个模型的比较",
    model_columns=("层", "热图平均相关"),
    same_prediction="{} / {} 张图像预测相同",
    every_image="全部图像",
    image_columns=("图像", "类别", "预测", "置信度", "是否正确"),
    right={True: "是", False: "否", None: "-"},
    failures="未能分析",
    notes="说明",
    explained=(
        "一致性：同一类别中每两张图像热图的皮尔逊相关系数的平均值（按层的分辨率）；"
        "1 表示位置完全相同，0 表示没有共同位置。",
        "激活面积：归一化 CAM（按自身最小值和最大值缩放到 0 至 1）大于 0.5 的面积比例。",
        "CAM均值和最大值取自原始 CAM；同一层内可以比较，不同层之间不能比较。",
        "质心x、质心y：归一化 CAM 的质心，以图像左上角为原点，占图像宽和高的比例。",
        "q：对本报告中全部比较校正后的 p 值（Benjamini-Hochberg）。",
        "热图说明某个输出的依据在哪里，并不说明该输出是否正确。",
    ),
    halves_note="左侧占比：|梯度 × 输入| 之和（所解释输出对输入的梯度，输入以黑色为零）中左半图像"
    "所占的比例；0.5 表示左右同等重要。各层热图无法区分左右：两半显示同一热图，质心取左半图像的。",
    whole_image="整体",
)

WORDS: dict[Language, Words] = {"en": Words(), "zh": _ZH}
