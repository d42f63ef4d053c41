"""The desktop: menu, toolbar, options. It opens the dialogs of Processing wherever those serve."""
